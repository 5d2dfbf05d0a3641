"""Learning curves of one run or several, over epochs and over time, and the curve of a range test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.plots.figure import COLOURS, DASHED, INK, label_integers, padded, saved_figure, style_axes

_RUN_COLOURS = (*COLOURS, "#e58fb6", "#7a4a21", "#9bb52c", "#22307d")
_MARKERS = "osD^v"
_NLL = "NLL per frame (nats)"
_VALID: dict[str, Any] = {"linewidth": 1.8}
_TRAIN: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (4, 2))}


class Curves(NamedTuple):
    """The learning curves of a run.

    Attributes:
        name: The run.
        train: Training NLL of each epoch, nats per frame.
        valid: Validation NLL of each epoch, nats per frame.
        seconds: Time at the end of each epoch, for plots over time.
    """

    name: str
    train: Sequence[float]
    valid: Sequence[float]
    seconds: Sequence[float] = ()


def plot_curves(
    curves: Mapping[str, Sequence[float]],
    path: Path | str,
    marks: Mapping[str, int] | None = None,
    title: str = "",
) -> None:
    """Plot NLLs over epochs.

    Args:
        curves: Nats per frame by name; index i is epoch i + 1. Values that aren't finite are left out.
        path: The picture.
        marks: Indices of values to mark, by label: ``{"best: epoch 12": 11}``.
        title: Title of the picture.

    Raises:
        RollError: There is no curve with a finite value.
    """
    points = {name: _finite_points(values) for name, values in curves.items()}
    points = {name: (x, y) for name, (x, y) in points.items() if len(x)}
    if not points:
        raise RollError("expected at least one curve with a finite value to plot, found none")
    marks = {label: index + 1 for label, index in (marks or {}).items()}
    with saved_figure(path, 7.5, 4.2) as figure:
        axes = figure.subplots()
        for colour, (name, (x, y)) in zip(COLOURS * len(points), points.items(), strict=False):
            axes.plot(x, y, color=colour, **_VALID, label=name, marker="o" if len(x) == 1 else None)
            at = np.isin(x, list(marks.values()))
            axes.plot(x[at], y[at], "o", color=colour, markersize=6, markeredgecolor="white")
        for label, epoch in marks.items():
            left, right = axes.get_xlim()
            offset, side = ((-4, -2), "right") if epoch > (left + right) / 2 else ((4, -2), "left")
            axes.axvline(epoch, color=INK, linewidth=0.8, linestyle=DASHED, zorder=0)
            look: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": side, "va": "top"}
            across = axes.get_xaxis_transform()
            axes.annotate(label, (epoch, 1), xycoords=across, **look, parse_math=False)
        style_axes(axes, title, "epoch", _NLL)
        label_integers(axes.xaxis)
        figure.legend(loc="outside upper right", ncols=min(4, len(points)), frameon=False)


def plot_runs(runs: Sequence[Curves], path: Path | str, title: str = "") -> None:
    """Plot the learning curves of several runs: a colour each, and a marker at the best epoch.

    Values that aren't finite are left out. The first epochs may be above the picture, so that it shows where
    the runs differ in the end.

    Raises:
        RollError: A run has no finite value in validation.
    """
    from matplotlib.lines import Line2D

    points = [(_finite_points(run.train), _finite_points(run.valid)) for run in runs]
    if not points or not all(len(valid[0]) for _, valid in points):
        raise RollError("expected runs with a finite value in validation to plot, found one without")
    best = [(int(x[y.argmin()]), float(y.min())) for _, (x, y) in points]
    labels = [f"{run.name}: {nll:.3f}, epoch {epoch}" for run, (epoch, nll) in zip(runs, best, strict=True)]
    lines = [Line2D([], [], color=INK, **style) for style in (_VALID, _TRAIN)]  # what the styles mean
    width, height = 6.6 + 0.075 * max(map(len, labels)), max(4.2, 0.22 * len(runs) + 1.6)
    with saved_figure(path, width, height) as figure:
        axes = figure.subplots()
        for index, (train, valid) in enumerate(points):
            cycle, colour = divmod(index, len(_RUN_COLOURS))
            look: dict[str, Any] = {"color": _RUN_COLOURS[colour], "markeredgecolor": "white"}
            axes.plot(*train, **look, **_TRAIN, marker="o" if len(train[0]) == 1 else None, markersize=5)
            axes.plot(*valid, **look, **_VALID)
            look |= {"marker": _MARKERS[cycle % len(_MARKERS)], "markersize": 7}
            axes.plot(*best[index], **look, zorder=3)
            lines.append(Line2D([], [], **look, **_VALID))
        values = np.concatenate([y for pair in points for _, y in pair])
        low, high = values.min(), values.max()
        most = max(np.quantile(values, 0.9), *(nll for _, nll in best))
        # The highest tenth may be above the picture.
        axes.set_ylim(*padded(low, high if high - low < 1.5 * (most - low) else most))
        style_axes(axes, title, "epoch", _NLL)
        label_integers(axes.xaxis)
        legend = figure.legend(lines, map(str, range(len(lines))), loc="outside right upper", frameon=False)
        for text, label in zip(legend.get_texts(), ["validation", "train", *labels], strict=True):
            text.set_text(label)  # a label given with its line is left out if it begins with "_"


def plot_time_curves(runs: Sequence[Curves], colours: Sequence[str], path: Path | str, title: str) -> None:
    """Plot finite learning curves with times, each in its colour: over epochs, and over wall-clock time."""
    from matplotlib.lines import Line2D

    train_style = _TRAIN | {"linewidth": 0.9}
    with saved_figure(path, 10, 4.4, title) as figure:
        by_epoch, by_second = figure.subplots(1, 2, sharey=True)
        for run, colour in zip(runs, colours, strict=True):
            best = int(np.argmin(run.valid))
            for axes, x in ((by_epoch, range(1, len(run.valid) + 1)), (by_second, run.seconds)):
                axes.plot(x, run.train, color=colour, **train_style)
                axes.plot(x, run.valid, color=colour, **_VALID)
                look: dict[str, Any] = {"color": colour, "markersize": 6, "markeredgecolor": "white"}
                axes.plot(x[best], run.valid[best], "o", **look, zorder=3)
        curves = [curve for run in runs for curve in (run.train, run.valid)]
        highest = max(max(curve[len(curve) // 10 :]) for curve in curves)  # the first tenth may be above
        by_epoch.set_ylim(*padded(min(map(min, curves)), highest))
        style_axes(by_epoch, "against epochs", "epoch", _NLL, grid="both")
        style_axes(by_second, "against wall-clock time", "seconds", grid="both")
        for axes in (by_epoch, by_second):
            axes.set_xlim(left=0)
        thick: dict[str, Any] = {"linewidth": 2.2}
        point: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
        looks = [(run.name, colour, thick) for run, colour in zip(runs, colours, strict=True)]
        styles = {"validation": _VALID, "train": train_style, "best epoch": point}
        looks += [(label, COLOURS[5], style) for label, style in styles.items()]
        handles = [Line2D([], [], color=colour, label=label, **style) for label, colour, style in looks]
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False)


def plot_range_test(
    rates: Sequence[float], nlls: Sequence[float], marks: Mapping[str, float], path: Path | str, title: str
) -> None:
    """Plot the NLL of a range test over the learning rate of each update, with at most two rates marked."""
    with saved_figure(path, 7.5, 4.2) as figure:
        axes = figure.subplots()
        axes.plot(rates, nlls, **_VALID)
        for height, (label, rate) in zip((0.97, 0.9), marks.items(), strict=False):
            axes.axvline(rate, linewidth=0.8, linestyle="--", color="black")
            across = axes.get_xaxis_transform()
            axes.annotate(f"{label}: {rate:.2g} ", (rate, height), xycoords=across, va="top", ha="right")
        fall = max(nlls[0] - min(nlls), 0.1)
        axes.set_ylim(min(nlls) - 0.1 * fall, nlls[0] + fall)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel(_NLL)
        axes.set_title(title, loc="left", parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)


def _finite_points(values: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs, counted from 1, that have a finite value, and these values."""
    array = np.asarray(values, np.float64)
    (finite,) = np.nonzero(np.isfinite(array))
    return finite + 1, array[finite]
