"""Where the loss of models comes from: NLL per pitch and per position, and the reliability curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.plots.figure import COLOURS, DASHED, FAINT, saved_figure, show_pitches, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LikelihoodProfile(NamedTuple):
    """Where the loss of a model comes from.

    Attributes:
        name: The model.
        low: The lowest pitch.
        nll_per_frame: NLL of all frames, nats per frame.
        pitches: NLL of each pitch, nats per frame, shape (P,).
        positions: Ranges of positions in a piece: the first, counted from 1, the last, and their NLL in nats
            per frame, shape (R, 3).
        reliability: Bins of cells by predicted probability: its mean, the observed frequency of ones, and the
            number of cells, shape (B, 3). Bins with a value that isn't finite are left out.
    """

    name: str
    low: int
    nll_per_frame: float
    pitches: NDArray[np.float64]
    positions: NDArray[np.float64]
    reliability: NDArray[np.float64]


def plot_profiles(models: Sequence[LikelihoodProfile], path: Path | str, title: str = "") -> None:
    """Plot NLL per pitch, NLL per position and the reliability curve of a few models on the same pieces.

    Raises:
        RollError: There are no models, or no frames were counted.
    """
    if not models or not all(len(model.positions) for model in models):
        raise RollError("expected models with counted frames to plot, found none")
    with saved_figure(path, 10, 6.6, title) as figure:
        places = figure.add_gridspec(2, 5, height_ratios=(1, 1.15))
        _plot_pitches(figure.add_subplot(places[0, :]), models)
        _plot_positions(figure.add_subplot(places[1, :3]), models)
        _plot_reliability(figure.add_subplot(places[1, 3:]), models)


def _plot_pitches(axes: Axes, models: Sequence[LikelihoodProfile]) -> None:
    width = 0.85 / len(models)
    used = np.flatnonzero(sum(model.pitches for model in models) > 1e-4) + models[0].low
    for index, model in enumerate(models):
        places = model.low + np.arange(len(model.pitches)) + (index - (len(models) - 1) / 2) * width
        label = f"{model.name}: {model.nll_per_frame:.3f} nats per frame"
        axes.bar(places, model.pitches, width=width, color=COLOURS[index], label=label)
    show_pitches(axes, *((int(used[0]), int(used[-1])) if len(used) else (60, 71)))
    if len(models) > 1:
        axes.legend(frameon=False)
    style_axes(axes, "NLL per pitch (nats per frame)")


def _plot_positions(axes: Axes, models: Sequence[LikelihoodProfile]) -> None:
    for colour, model in zip(COLOURS, models, strict=False):
        first, last, nll = model.positions.T
        axes.stairs(nll, np.append(first, last[-1] + 1) - 0.5, color=colour, linewidth=1.8, baseline=None)
        axes.axhline(model.nll_per_frame, color=colour, linewidth=0.8, linestyle=DASHED, zorder=0.5)
    end = max(int(model.positions[-1, 1]) for model in models)
    axes.set_xscale("log")
    ticks = [10**power * digit for power in range(8) for digit in (1, 2, 5) if 10**power * digit <= end]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.5, end + 0.5)
    axes.set_ylim(bottom=0)
    x_label = "position in the piece (frames, the first is 1); dashed: mean of all"
    style_axes(axes, "NLL per position (nats per frame)", x_label)


def _plot_reliability(axes: Axes, models: Sequence[LikelihoodProfile]) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=0.5)
    for colour, model in zip(COLOURS, models, strict=False):
        predicted, observed, cells = model.reliability[np.isfinite(model.reliability).all(axis=1)].T
        look: dict[str, Any] = {"color": colour, "zorder": 2}
        axes.plot(predicted, observed, linewidth=1.4, **look)
        sizes = 10 + 70 * np.log1p(cells) / np.log1p(cells.max())
        axes.scatter(predicted, observed, s=sizes, edgecolor="white", linewidth=0.6, **look)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    style_axes(axes, "reliability (observed frequency)", "mean predicted probability", grid="both")
