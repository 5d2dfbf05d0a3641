"""What all pictures share: colours, style, axes, and a file (PNG, SVG or PDF) with the same bytes each time.

matplotlib takes long to import, so it is imported where it is used; pyplot never. Labels and titles may be
names of files, so they are plain text: ``$`` starts no formula.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from musicrnn.errors import FileError
from musicrnn.files import whole_file
from musicrnn.music.tonality import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DOTS_PER_INCH = 160
INK, FAINT = "#2b3440", "#cfd6de"
COLOURS = ("#1f6f8b", "#d1495b", "#3f8f4f", "#8d5fa8", "#c98a1b", "#5b6472")
DASHED = (0, (4, 3))
_METADATA = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""File types, and the metadata to leave out of them."""
_STYLE = {
    "svg.hashsalt": "musicrnn",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


@contextlib.contextmanager
def saved_figure(path: Path | str, width: float, height: float, title: str = "") -> Iterator[Figure]:
    """Yield an empty figure, and save it at the end of the block, whole or not at all.

    Args:
        path: The picture; its suffix is .png, .svg or .pdf.
        width: Inches.
        height: Inches.
        title: Title of the whole figure.

    Raises:
        FileError: The suffix is another, or the file can't be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        found = repr(suffix or "no suffix")
        raise FileError(f"{path}: expected a picture named {', '.join(_METADATA)}, found {found}")
    with rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # names may be in any script
        figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        if title:
            figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", parse_math=False)
        yield figure
        for legend in figure.findobj(Legend):
            for text in legend.get_texts():
                text.set_parse_math(False)
        with whole_file(path) as file:
            figure.savefig(file, format=suffix[1:], metadata=_METADATA[suffix])


def style_axes(
    axes: Axes, title: str = "", x_label: str = "", y_label: str = "", grid: Literal["x", "y", "both"] = "y"
) -> None:
    """Give axes their title, labels and grid, and remove the frame above and to the right."""
    set_title(axes, title)
    axes.set_xlabel(x_label, parse_math=False)
    axes.set_ylabel(y_label, parse_math=False)
    axes.grid(axis=grid, color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def set_title(axes: Axes, title: str) -> None:
    """Write a title above axes, cut to 100 characters."""
    shown = title if len(title) <= 100 else title[:99] + "…"
    axes.set_title(shown, loc="left", fontsize=10, fontweight="bold", parse_math=False)


def label_octaves(axis: Axis, low: int, high: int, classes: tuple[int, ...] = (0,)) -> None:
    """Label each C on an axis of MIDI pitches, or each pitch of other classes."""
    pitches = [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]
    axis.set_ticks(pitches, [pitch_name(pitch) for pitch in pitches])


def show_pitches(axes: Axes, low: int, high: int) -> None:
    """Limit the horizontal axis to MIDI pitches, with each C labelled."""
    label_octaves(axes.xaxis, low, high)
    axes.set_xlim(low - 1, high + 1)


def label_integers(axis: Axis) -> None:
    """Label an axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def padded(low: float, high: float, share: float = 0.05, least: float = 0.5) -> tuple[float, float]:
    """Return limits with a margin: a share of their distance, or ``least`` if they are equal."""
    margin: Any = share * (high - low) or least
    return low - margin, high + margin
