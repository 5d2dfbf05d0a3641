"""Piano rolls and curves as pictures (PNG, SVG, PDF).

Time runs to the right in quarter notes, pitch upwards with C4 = MIDI 60. In a picture a note is a bar
that ends a little early, so a repeated note looks different from a held one. The same input gives the
same bytes: no dates, no random identifiers. matplotlib is imported where it is used, and pyplot never.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import FileError, RollError
from musicrnn.files import whole_file
from musicrnn.music.pianoroll import PianoRoll
from musicrnn.music.tonality import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 16
DOTS_PER_INCH = 160
_METADATA = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""File types, and the metadata to leave out of them."""

_INK, FAINT, _BLACK_KEY = "#2b3440", "#cfd6de", "#f4f6f8"
COLOURS = ("#1f6f8b", "#d1495b", "#3f8f4f", "#8d5fa8", "#c98a1b", "#5b6472")
_RUN_COLOURS = (*COLOURS, "#e58fb6", "#7a4a21", "#9bb52c", "#22307d")
_MARKS = "osD^v"
_VALID: dict[str, Any] = {"linewidth": 1.8}
_TRAIN: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (4, 2))}
_STYLE = {
    "svg.hashsalt": "musicrnn",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def draw_rolls(rolls: Sequence[tuple[str, PianoRoll]], path: Path | str) -> None:
    """Draw piano rolls, one panel under another, on common axes.

    Args:
        rolls: Title and roll of each panel, 1 to ``MAX_PANELS`` of them.
        path: The picture; its suffix is .png, .svg or .pdf.

    Raises:
        RollError: There are no rolls, or too many.
        FileError: The suffix is another, or the file can't be written.
    """
    if not 1 <= len(rolls) <= MAX_PANELS:
        raise RollError(f"expected 1 to {MAX_PANELS} piano rolls in a picture, found {len(rolls)}")
    with picture(Path(path), 10, 2.5 * max(len(rolls), 1.2)) as figure:
        draw_panels(figure.subplots(len(rolls), sharex=True, squeeze=False)[:, 0], rolls)


def draw_curves(
    curves: Mapping[str, Sequence[float]],
    path: Path | str,
    x_label: str = "epoch",
    y_label: str = "NLL per frame (nats)",
    marks: Mapping[str, int] | None = None,
    title: str = "",
) -> None:
    """Draw curves over epochs, or over anything else that is counted from 1.

    Args:
        curves: Values by name; the one of index i belongs to epoch i + 1. What isn't finite is left out.
        path: The picture; its suffix is .png, .svg or .pdf.
        x_label: What is counted.
        y_label: What the values are, with their unit.
        marks: Indices of values to mark, by label: ``{"best: epoch 12": 11}``.
        title: Title of the picture.

    Raises:
        RollError: There is no curve with a finite value.
        FileError: The suffix is another, or the file can't be written.
    """
    points = {name: _finite_points(values) for name, values in curves.items()}
    points = {name: (x, y) for name, (x, y) in points.items() if len(x)}
    if not points:
        raise RollError("expected at least one curve with a finite value to draw, found none")
    marks = {label: index + 1 for label, index in (marks or {}).items()}
    with picture(Path(path), 7.5, 4.2) as figure:
        axes = figure.subplots()
        for colour, (name, (x, y)) in zip(COLOURS * len(points), points.items(), strict=False):
            axes.plot(x, y, color=colour, linewidth=1.8, label=name, marker="o" if len(x) == 1 else None)
            at = np.isin(x, list(marks.values()))
            axes.plot(x[at], y[at], "o", color=colour, markersize=6, markeredgecolor="white")
        for label, epoch in marks.items():
            _draw_mark(axes, label, epoch)
        _style_curves(axes, x_label, y_label)
        legend = figure.legend(loc="outside upper right", ncols=min(4, len(points)), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
        draw_title(axes, title)


class Curves(NamedTuple):
    """The learning curves of a run.

    Attributes:
        name: The run.
        train: NLL of each epoch, in training.
        valid: NLL of each epoch, in validation.
    """

    name: str
    train: Sequence[float]
    valid: Sequence[float]


def draw_runs(runs: Sequence[Curves], path: Path | str, title: str = "") -> None:
    """Draw the learning curves of several runs: a colour each, and a mark at the best epoch.

    The first epochs may be above the picture, so that it shows where the runs differ in the end.

    Args:
        runs: NLLs per frame over epochs counted from 1. What isn't finite is left out.
        path: The picture; its suffix is .png, .svg or .pdf.
        title: Title of the picture.

    Raises:
        RollError: A run has no finite value in validation.
        FileError: The suffix is another, or the file can't be written.
    """
    from matplotlib.lines import Line2D

    points = [(_finite_points(run.train), _finite_points(run.valid)) for run in runs]
    if not points or not all(len(valid[0]) for _, valid in points):
        raise RollError("expected runs with a finite value in validation to draw, found one without")
    best = [(int(x[y.argmin()]), float(y.min())) for _, (x, y) in points]
    labels = [f"{run.name}: {nll:.3f}, epoch {epoch}" for run, (epoch, nll) in zip(runs, best, strict=True)]
    lines = [Line2D([], [], color=_INK, **style) for style in (_VALID, _TRAIN)]  # what the styles mean
    with picture(Path(path), 6.6 + 0.075 * max(map(len, labels)), max(4.2, 0.22 * len(runs) + 1.6)) as figure:
        axes = figure.subplots()
        for index, (train, valid) in enumerate(points):
            again, colour = divmod(index, len(_RUN_COLOURS))
            look: dict[str, Any] = {"color": _RUN_COLOURS[colour], "markeredgecolor": "white"}
            axes.plot(*train, **look, **_TRAIN, marker="o" if len(train[0]) == 1 else None, markersize=5)
            axes.plot(*valid, **look, **_VALID)
            look |= {"marker": _MARKS[again % len(_MARKS)], "markersize": 7}
            axes.plot(*best[index], **look, zorder=3)
            lines.append(Line2D([], [], **look, **_VALID))
        axes.set_ylim(*_end_limits([value for pair in points for _, y in pair for value in y], best))
        _style_curves(axes, "epoch", "NLL per frame (nats)")
        handles = figure.legend(lines, map(str, range(len(lines))), loc="outside right upper", frameon=False)
        for text, label in zip(handles.get_texts(), ["validation", "train", *labels], strict=True):
            text.set_text(label)  # a label given with its line is left out if it begins with "_"
            text.set_parse_math(False)
        draw_title(axes, title)


@contextlib.contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield an empty figure of so many inches; what was drawn on it is written to ``path`` at the end."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        raise FileError(
            f"{path}: expected a picture named {', '.join(_METADATA)}, found {suffix or 'no suffix'!r}"
        )
    with rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # titles are file names in any script
        figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        yield figure
        with whole_file(path) as file:
            figure.savefig(file, format=suffix[1:], metadata=_METADATA[suffix])


def draw_panels(panels: Iterable[Axes], rolls: Sequence[tuple[str, PianoRoll]]) -> None:
    """Draw each roll, under its title, on the axes of its panel; the panels share the time axis."""
    *_, lowest = panels = list(panels)
    low, high = pitch_span([roll for _, roll in rolls])
    low, high = low - 1, high + 1
    quarters = max(roll.quarters for _, roll in rolls)
    for index, (axes, (title, roll)) in enumerate(zip(panels, rolls, strict=True)):
        _draw_panel(axes, roll, low, high, quarters, COLOURS[index % 2])
        draw_title(axes, title)
    lowest.set_xlim(0, quarters)
    lowest.xaxis.set_major_locator(_beat_locator(quarters))
    tempos = {roll.layout.tempo for _, roll in rolls}
    nominal = tempos.pop() if len(tempos) == 1 else None
    lowest.set_xlabel(f"quarter notes at {nominal:g} per minute" if nominal else "quarter notes")


def draw_title(axes: Axes, title: str) -> None:
    """Write what a panel shows above it, as plain text."""
    shown = title if len(title) <= 100 else title[:99] + "…"
    axes.set_title(shown, loc="left", fontsize=10, fontweight="bold", parse_math=False)


def _draw_panel(axes: Axes, roll: PianoRoll, low: int, high: int, quarters: float, colour: str) -> None:
    from matplotlib.collections import PolyCollection

    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            axes.axhline(pitch - 0.5, color=FAINT, linewidth=0.8, zorder=0.2)
        elif "#" in pitch_name(pitch):
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=_BLACK_KEY, linewidth=0, zorder=0.1)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    if roll.quarters < quarters:  # no staff beyond the end of the roll
        axes.axvspan(roll.quarters, quarters, color="white", linewidth=0, zorder=0.9)
    bars: Any = _bars(roll, gap=quarters / 700)
    axes.add_collection(PolyCollection(bars, facecolor=colour, linewidth=0, gid="notes"), autolim=False)
    axes.set_ylim(low - 0.5, high + 0.5)
    named = (0,) if high - low > 20 else (0, 4, 7)
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 in named]
    axes.set_yticks(ticks, [pitch_name(pitch) for pitch in ticks])


def _bars(roll: PianoRoll, gap: float) -> NDArray[np.float64]:
    """Return the corners of each note's bar in quarter notes and MIDI pitch, shape (N, 4, 2).

    Args:
        roll: The roll.
        gap: Space between a note and the next, in quarter notes: at most a quarter of the note is left
            blank, and a bar is at least half a gap wide, to be seen in long pieces.
    """
    notes = roll.notes()
    left, right = (notes[edge] / roll.layout.resolution for edge in ("start", "end"))
    right = np.maximum(right - np.minimum(gap, (right - left) / 4), left + gap / 2)
    bottom, top = notes["pitch"] - 0.45, notes["pitch"] + 0.45
    corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
    return np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)


def _draw_mark(axes: Axes, label: str, epoch: int) -> None:
    left, right = axes.get_xlim()
    late = epoch > (left + right) / 2
    axes.axvline(epoch, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        label,
        (epoch, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-4 if late else 4, -2),
        textcoords="offset points",
        horizontalalignment="right" if late else "left",
        verticalalignment="top",
        parse_math=False,
    )


def _style_curves(axes: Axes, x_label: str, y_label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(x_label, parse_math=False)
    axes.set_ylabel(y_label, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _end_limits(values: Sequence[float], best: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return the values at the bottom and top: all, or without the highest tenth if it takes much room."""
    low, high = min(values), max(values)
    most = max(float(np.quantile(values, 0.9)), *(value for _, value in best))
    top = high if high - low < 1.5 * (most - low) else most
    margin = 0.05 * (top - low) or 0.5
    return low - margin, top + margin


def _beat_locator(quarters: float) -> Any:
    """Return a locator of ticks at multiples of the power of two that gives at most 17 of them."""
    from matplotlib.ticker import MultipleLocator

    step = 1
    while quarters / step > 16:
        step *= 2
    return MultipleLocator(step)


def _finite_points(values: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs, counted from 1, that have a finite value, and these values."""
    array = np.asarray(values, np.float64)
    (finite,) = np.nonzero(np.isfinite(array))
    return finite + 1, array[finite]


def pitch_span(rolls: Sequence[PianoRoll]) -> tuple[int, int]:
    """Return the lowest and highest pitch to show: those that sound, and at least an octave."""
    used = [roll.layout.low + np.flatnonzero(roll.sounding.any(axis=0)) for roll in rolls]
    pitches = np.concatenate(used)
    low, high = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 71)
    while high - low < 11:
        low, high = max(0, low - 1), min(127, high + 1)
    return low, high
