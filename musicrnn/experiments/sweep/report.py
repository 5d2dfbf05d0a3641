"""What came of a sweep: ranks, a table as a file, and a picture."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.experiments.sweep.space import Choices, Range, Space
from musicrnn.experiments.sweep.study import Trial
from musicrnn.files import write_bytes
from musicrnn.music.draw import COLOURS, FAINT, draw_title, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS, _NOTHING = 3, "-"
_ORDER = ("complete", "pruned", "running", "failed")
_GOLDEN = (math.sqrt(5) - 1) / 2


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return complete trials from best to worst, then pruned ones, then those that are running or failed."""

    def place(trial: Trial) -> tuple[int, float, int]:
        nll = math.inf if trial.valid_nll is None else trial.valid_nll
        return _ORDER.index(trial.state), nll, trial.number

    return sorted(trials, key=place)


def rows(trials: Sequence[Trial], space: Space) -> list[dict[str, Any]]:
    """Return the trials, in their order, as JSON values by column."""
    return [
        {
            "run": str(trial.run),
            "number": trial.number,
            "state": trial.state,
            "valid_nll": trial.valid_nll,
            "epochs": trial.epochs,
            "reason": trial.reason,
            **{name: trial.settings.get(name) for name in space},
        }
        for trial in trials
    ]


def write_table(trials: Sequence[Trial], space: Space, path: Path) -> None:
    """Write the trials, in their order, as a table of comma-separated values.

    Raises:
        FileError: The file can't be written.
    """
    lines = rows(trials, space)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(lines[0]) if lines else [])
    table.writeheader()
    table.writerows(lines)
    write_bytes(path, buffer.getvalue().encode())


def show(value: Any) -> str:
    """Return a setting's value, short enough for a table."""
    return f"{value:.3g}" if isinstance(value, float) else _NOTHING if value is None else str(value)


def draw_sweep(trials: Sequence[Trial], space: Space, path: Path, title: str) -> None:
    """Draw the validation NLL beside each searched setting, and the best so far over the trials.

    Args:
        trials: Trials of which one is complete at least.
        space: The settings; each has a panel.
        path: The picture; its suffix is .png, .svg or .pdf.
        title: Title of the picture.

    Raises:
        FileError: The suffix is another, or the file can't be written.
    """
    panels = len(space) + 1
    columns = 2 if panels == 4 else min(_COLUMNS, panels)
    height = -(-panels // columns)
    limits = _limits([trial.valid_nll for trial in trials if trial.valid_nll is not None])
    with picture(path, 3.6 * columns + 0.4, 3.0 * height + 0.7) as figure:
        figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", parse_math=False)
        axes = figure.subplots(height, columns, squeeze=False, sharey=True).flatten()
        for place, (name, entry) in zip(axes, space.items(), strict=False):
            _draw_setting(place, trials, name, entry, limits)
        _draw_progress(axes[len(space)], trials, limits)
        for place in axes[panels:]:
            place.set_visible(False)
        for row in range(height):
            axes[row * columns].set_ylabel("validation NLL per frame (nats)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            title="upper edge: failed, or far worse than most",
            alignment="left",
            loc="outside lower left",
            ncols=len(labels),
            frameon=False,
        )


def _limits(nlls: Sequence[float]) -> tuple[float, float]:
    """Return the NLLs between which to draw: what is far worse than most is shown at the edge."""
    finite = [nll for nll in nlls if math.isfinite(nll)] or [0.0]
    low = min(finite)
    spread = 4 * (statistics.median(finite) - low)
    high = min(max(finite), low + spread) if spread else max(finite)
    margin = 0.08 * (high - low) or 0.1
    return low - margin, high + margin


def _draw_setting(
    axes: Axes, trials: Sequence[Trial], name: str, entry: Range | Choices, limits: tuple[float, float]
) -> None:
    """Draw every trial where its setting and its NLL are."""
    places: dict[Any, int] = {}
    if isinstance(entry, Choices):
        places = {value: index for index, value in enumerate(entry.values)}
        axes.set_xticks(range(len(places)), [show(value) for value in places], parse_math=False)
        axes.set_xlim(-0.6, len(places) - 0.4)
    elif entry.log:
        margin = max(1.05, (entry.high / entry.low) ** 0.05)
        axes.set_xscale("log")
        axes.set_xlim(entry.low / margin, entry.high * margin)

    def point(trial: Trial) -> tuple[float, float]:
        value = trial.settings[name]
        beside = 0.4 * (trial.number * _GOLDEN % 1 - 0.5)  # trials of the same choice, always in the same way
        nll = math.inf if trial.valid_nll is None or trial.state == "failed" else trial.valid_nll
        return places[value] + beside if places else value, min(nll, limits[1])

    drawn = [trial for trial in trials if name in trial.settings]
    for state, style in _STYLES.items():
        if points := [point(trial) for trial in drawn if trial.state == state]:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, linestyle="", label=state, clip_on=False, **style)
    axes.plot(*point(ranked(drawn)[0]), label="best", clip_on=False, **_BEST)
    axes.set_ylim(*limits)
    _style(axes, name)


def _draw_progress(axes: Axes, trials: Sequence[Trial], limits: tuple[float, float]) -> None:
    """Draw the best NLL so far over the trials."""
    from matplotlib.ticker import MaxNLocator

    numbers, best = list[int](), list[float]()
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == "complete" and trial.valid_nll is not None:
            axes.plot(trial.number, min(trial.valid_nll, limits[1]), clip_on=False, **_STYLES["complete"])
            numbers.append(trial.number)
            best.append(min([trial.valid_nll, *best[-1:]]))
    axes.step(numbers, best, where="post", color=COLOURS[1], linewidth=1.8)
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    _style(axes, "trial, and the best so far")


def _style(axes: Axes, title: str) -> None:
    axes.grid(color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    draw_title(axes, title)


_STYLES: Mapping[str, Mapping[str, Any]] = {
    "complete": {"marker": "o", "markersize": 5, "color": COLOURS[0], "alpha": 0.8},
    "pruned": {"marker": "o", "markersize": 5, "color": COLOURS[5], "fillstyle": "none"},
    "failed": {"marker": "x", "markersize": 5, "color": COLOURS[5]},
}
_BEST: Mapping[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 9,
    "color": COLOURS[1],
    "fillstyle": "none",
    "markeredgewidth": 1.8,
}
