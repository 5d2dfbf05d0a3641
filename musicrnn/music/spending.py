"""Where the nats of a model go, as a picture: by pitch, by position, and what its probabilities mean.

A picture is made as in ``draw``: the same input gives the same bytes, and matplotlib is imported where it
is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.music.draw import COLOURS, FAINT, draw_title, picture
from musicrnn.music.tonality import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Spending:
    """What a model's nats are spent on.

    Attributes:
        name: The model.
        low: The lowest pitch.
        pitches: Nats per frame of each pitch, shape (P,).
        positions: First and last position of stretches of a piece, counted from 1, shape (S, 2).
        position_nll: Nats per frame of each stretch, shape (S,).
        given: Mean probability given to the cells of each bin, shape (B,); what isn't finite is left out.
        came: Share of the cells of each bin that were one, shape (B,).
        cells: How many cells are in each bin, shape (B,).
        nll_per_frame: Nats per frame of everything.
    """

    name: str
    low: int
    pitches: NDArray[np.float64]
    positions: NDArray[np.int64]
    position_nll: NDArray[np.float64]
    given: NDArray[np.float64]
    came: NDArray[np.float64]
    cells: NDArray[np.int64]
    nll_per_frame: float


def draw_spending(models: Sequence[Spending], path: Path | str, title: str = "") -> None:
    """Draw NLL per pitch, NLL per position and the reliability curve of models on the same pieces.

    Args:
        models: One model or a few, in colours of their own.
        path: The picture; its suffix is .png, .svg or .pdf.
        title: Title of the picture.

    Raises:
        RollError: There are no models, or no frames were counted.
        FileError: The suffix is another, or the file can't be written.
    """
    if not models or not all(len(model.position_nll) for model in models):
        raise RollError("expected models with frames that count to draw, found none")
    with picture(Path(path), 10, 6.6) as figure:
        figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", parse_math=False)
        places = figure.add_gridspec(2, 5, height_ratios=(1, 1.15))
        _draw_pitches(figure.add_subplot(places[0, :]), models)
        _draw_positions(figure.add_subplot(places[1, :3]), models)
        _draw_reliability(figure.add_subplot(places[1, 3:]), models)


def _draw_pitches(axes: Axes, models: Sequence[Spending]) -> None:
    width = 0.85 / len(models)
    spent = np.flatnonzero(sum(model.pitches for model in models) > 1e-4) + models[0].low
    for index, model in enumerate(models):
        places = model.low + np.arange(len(model.pitches)) + (index - (len(models) - 1) / 2) * width
        label = f"{model.name}: {model.nll_per_frame:.3f} nats per frame"
        axes.bar(places, model.pitches, width=width, color=COLOURS[index], label=label)
    low, high = (int(spent[0]), int(spent[-1])) if len(spent) else (60, 71)
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    axes.set_xticks(ticks, [pitch_name(pitch) for pitch in ticks])
    axes.set_xlim(low - 1, high + 1)
    if len(models) > 1:
        for text in axes.legend(frameon=False).get_texts():
            text.set_parse_math(False)
    _style(axes, "NLL per pitch (nats per frame)")


def _draw_positions(axes: Axes, models: Sequence[Spending]) -> None:
    for colour, model in zip(COLOURS, models, strict=False):
        edges = np.append(model.positions[:, 0] - 0.5, model.positions[-1, 1] + 0.5)
        axes.stairs(model.position_nll, edges, color=colour, linewidth=1.8, baseline=None)
        axes.axhline(model.nll_per_frame, color=colour, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    last = max(int(model.positions[-1, 1]) for model in models)
    axes.set_xscale("log")
    ticks = [10**power * digit for power in range(8) for digit in (1, 2, 5) if 10**power * digit <= last]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.5, last + 0.5)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("position in the piece (frames, the first is 1); dashed: mean of all")
    _style(axes, "NLL per position (nats per frame)")


def _draw_reliability(axes: Axes, models: Sequence[Spending]) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=0.5)
    for colour, model in zip(COLOURS, models, strict=False):
        some = np.isfinite(model.given) & np.isfinite(model.came)
        given, came, cells = model.given[some], model.came[some], model.cells[some]
        look: dict[str, Any] = {"color": colour, "zorder": 2}
        axes.plot(given, came, linewidth=1.4, **look)
        sizes = 10 + 70 * np.log1p(cells) / np.log1p(cells.max())
        axes.scatter(given, came, s=sizes, edgecolor="white", linewidth=0.6, **look)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_xlabel("mean probability given")
    _style(axes, "reliability (share that came true)")


def _style(axes: Axes, title: str) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    draw_title(axes, title)
