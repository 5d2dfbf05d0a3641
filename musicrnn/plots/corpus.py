"""A corpus on one page: a piece, and how pitches, polyphony, keys, metres and lengths are distributed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.music.pianoroll import PianoRoll
from musicrnn.plots.figure import COLOURS, label_integers, saved_figure, set_title, show_pitches, style_axes
from musicrnn.plots.rolls import plot_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 8
MOST_BINS = 40


def plot_corpus(
    document: Mapping[str, Any],
    roll: tuple[str, PianoRoll],
    lengths: Mapping[str, NDArray[Any]],
    path: Path | str,
    title: str = "",
    caption: Sequence[str] = (),
    unit: str = "quarter notes",
) -> None:
    """Plot the page of a corpus.

    Args:
        document: ``pitch_histogram``, ``polyphony_histogram``, ``keys`` and ``metres`` of ``show --json``.
        roll: Title and roll of a piece.
        lengths: Lengths of the pieces of each split, shape (N,).
        path: The picture.
        title: Title of the page.
        caption: Paragraphs below the plots.
        unit: Unit of the lengths.
    """
    pitches = {int(pitch): frames for pitch, frames in document["pitch_histogram"].items()}
    voices = list(document["polyphony_histogram"].values())
    with saved_figure(path, 10, 8.6, title) as figure:
        lines = [line for part in caption for line in textwrap.wrap(part, 150)]
        figure.supxlabel("\n".join(lines), x=0.012, ha="left", fontsize=9, parse_math=False)
        places = figure.add_gridspec(3, 6, height_ratios=(1.15, 1, 1))
        plot_panels([figure.add_subplot(places[0, :])], [roll])
        _plot_pitches(figure.add_subplot(places[1, :4]), pitches, sum(voices))
        _plot_voices(figure.add_subplot(places[1, 4:]), voices)
        _plot_counts(figure.add_subplot(places[2, :2]), "keys (pieces)", document["keys"])
        _plot_counts(figure.add_subplot(places[2, 2:4]), "metres (pieces)", document["metres"])
        _plot_lengths(figure.add_subplot(places[2, 4:]), lengths, unit)


def most_common(counts: Mapping[str, int], most: int = MOST_BARS) -> list[tuple[str, int]]:
    """Return the ``most`` largest counts; where there are more, the last row sums all others."""
    rows = sorted(counts.items(), key=lambda row: -row[1])
    if len(rows) <= most:
        return rows
    others = rows[most - 1 :]
    return [*rows[: most - 1], (f"{len(others)} others", sum(count for _, count in others))]


def _plot_pitches(axes: Axes, pitches: Mapping[int, int], frames: int) -> None:
    shares = [100 * count / frames for count in pitches.values()]
    axes.bar(list(pitches), shares, width=0.85, color=COLOURS[0])
    show_pitches(axes, min(pitches, default=60), max(pitches, default=71))
    style_axes(axes, "pitches (% of frames in which each sounds)")


def _plot_voices(axes: Axes, voices: Sequence[int]) -> None:
    shares = 100 * np.asarray(voices) / sum(voices)
    axes.bar(np.arange(len(voices)), shares, width=0.85, color=COLOURS[0])
    label_integers(axes.xaxis)
    style_axes(axes, "polyphony (% of frames)", "pitches that sound at once")


def _plot_counts(axes: Axes, title: str, counts: Mapping[str, int]) -> None:
    rows = most_common(counts)
    labels, values = zip(*rows, strict=True)
    colours = [COLOURS[0]] * len(rows)
    if len(rows) < len(counts):
        colours[-1] = COLOURS[-1]
    axes.barh(range(len(rows)), values, height=0.75, color=colours)
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    beside: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points", "va": "center_baseline"}
    for place, (_, count) in enumerate(rows):
        axes.annotate(f"{count:,}", (count, place), **beside)
    axes.set_ylim(MOST_BARS - 0.5, -0.5)
    axes.set_xlim(0, 1.15 * max(values))
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    set_title(axes, title)


def _plot_lengths(axes: Axes, lengths: Mapping[str, NDArray[Any]], unit: str) -> None:
    every = np.concatenate(list(lengths.values()))
    edges = np.histogram_bin_edges(every, min(MOST_BINS, math.isqrt(len(every)) + 4))
    look: dict[str, Any] = {"stacked": True, "color": COLOURS[: len(lengths)], "label": list(lengths)}
    axes.hist(list(lengths.values()), bins=edges.tolist(), **look)
    axes.legend(frameon=False)
    label_integers(axes.yaxis)
    style_axes(axes, "lengths (pieces)", unit)
