"""Figures 2 and 3 of the paper: NLL against epochs and against wall-clock time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from musicrnn.checkpoint import read_metrics
from musicrnn.errors import FileError
from musicrnn.experiments.chung2014.paper import NAMES
from musicrnn.experiments.chung2014.rows import Row
from musicrnn.music.draw import COLOURS, FAINT, draw_title, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = dict(zip(NAMES, COLOURS, strict=False))
_DASHES = (0, (4, 2))


def draw_data(title: str, rows: Sequence[Row], path: Path) -> None:
    """Draw the learning curves of a data set's units, each at its best rate.

    Args:
        title: What the data set is called.
        rows: Rows of table 2, whose models have the curves.
        path: The picture.

    Raises:
        FileError: A run's metrics are missing or damaged, or the picture can't be written.
    """
    from matplotlib.lines import Line2D

    curves = {row.cell: _curves(Path(row.model)) for row in rows}
    with picture(path, 10, 4.4) as figure:
        figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold")
        by_epoch, by_second = figure.subplots(1, 2, sharey=True)
        for cell, (seconds, train, valid) in curves.items():
            epochs = range(1, len(valid) + 1)
            for axes, x in ((by_epoch, epochs), (by_second, seconds)):
                _draw(axes, list(x), train, valid, _COLOURS[cell])
        by_epoch.set_ylim(*_limits([curve for _, *pair in curves.values() for curve in pair]))
        by_epoch.set_ylabel("NLL per frame (nats)")
        _style(by_epoch, "epoch", "against epochs")
        _style(by_second, "seconds", "against wall-clock time")
        lines = [
            Line2D([], [], color=_COLOURS[row.cell], linewidth=2.2, label=f"{NAMES[row.cell]} {row.hidden}")
            for row in rows
        ]
        lines += [
            Line2D([], [], color=COLOURS[5], linewidth=1.8, label="validation"),
            Line2D([], [], color=COLOURS[5], linewidth=0.9, linestyle=_DASHES, label="train"),
            Line2D([], [], color=COLOURS[5], linestyle="", marker="o", markersize=6, label="best epoch"),
        ]
        figure.legend(handles=lines, loc="outside lower left", ncols=len(lines), frameon=False)


def _draw(axes: Axes, x: list[float], train: list[float], valid: list[float], colour: str) -> None:
    axes.plot(x, train, color=colour, linewidth=0.9, linestyle=_DASHES)
    axes.plot(x, valid, color=colour, linewidth=1.8)
    best = valid.index(min(valid))
    axes.plot(x[best], valid[best], "o", color=colour, markersize=6, markeredgecolor="white", zorder=3)


def _style(axes: Axes, x_label: str, title: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_xlim(left=0)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    draw_title(axes, title)


def _limits(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return bottom and top of the picture; the first tenth of each curve may be above it."""
    low = min(min(curve) for curve in curves)
    high = max(max(curve[len(curve) // 10 :]) for curve in curves)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _curves(model: Path) -> tuple[list[float], list[float], list[float]]:
    """Return seconds, training and validation NLL after each epoch of a run, those that are finite."""
    points = [(epoch.seconds, epoch.train_nll, epoch.valid_nll) for epoch in read_metrics(model)]
    finite = [point for point in points if all(map(math.isfinite, point))]
    if not finite:
        raise FileError(f"{model / 'metrics.jsonl'}: expected an epoch with a finite NLL, found none")
    seconds, train, valid = map(list, zip(*finite, strict=True))
    return seconds, train, valid
