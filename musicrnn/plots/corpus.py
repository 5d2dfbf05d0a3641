"""A corpus on one page: a piece, and how pitches, polyphony, keys, metres and lengths are distributed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.music.pianoroll import PianoRoll
from musicrnn.plots.figure import COLOURS, label_integers, label_octaves, saved_figure, set_title, style_axes
from musicrnn.plots.rolls import plot_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 8
MOST_BINS = 40


@dataclass(frozen=True)
class CorpusOverview:
    """What the page of a corpus shows.

    Attributes:
        title: Title of the page.
        caption: Paragraphs below the plots.
        roll: Title and roll of a piece.
        pitches: Frames in which each MIDI pitch sounds.
        voices: Frames in which 0, 1, 2 … pitches sound.
        keys: Pieces in each key.
        metres: Pieces in each metre.
        lengths: Lengths of the pieces of each split, shape (N,).
        unit: Unit of the lengths.
    """

    title: str
    caption: Sequence[str]
    roll: tuple[str, PianoRoll]
    pitches: Mapping[int, int]
    voices: Sequence[int]
    keys: Mapping[str, int]
    metres: Mapping[str, int]
    lengths: Mapping[str, NDArray[Any]]
    unit: str = "quarter notes"


def plot_corpus(overview: CorpusOverview, path: Path | str) -> None:
    """Plot the page of a corpus."""
    with saved_figure(path, 10, 8.6, overview.title) as figure:
        caption = "\n".join(line for part in overview.caption for line in textwrap.wrap(part, 150))
        figure.supxlabel(caption, x=0.012, ha="left", fontsize=9, parse_math=False)
        places = figure.add_gridspec(3, 6, height_ratios=(1.15, 1, 1))
        plot_panels([figure.add_subplot(places[0, :])], [overview.roll])
        _plot_pitches(figure.add_subplot(places[1, :4]), overview.pitches, sum(overview.voices))
        _plot_voices(figure.add_subplot(places[1, 4:]), overview.voices)
        _plot_counts(figure.add_subplot(places[2, :2]), "keys (pieces)", overview.keys)
        _plot_counts(figure.add_subplot(places[2, 2:4]), "metres (pieces)", overview.metres)
        _plot_lengths(figure.add_subplot(places[2, 4:]), overview.lengths, overview.unit)


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
    low, high = min(pitches, default=60), max(pitches, default=71)
    label_octaves(axes.xaxis, low, high)
    axes.set_xlim(low - 1, high + 1)
    style_axes(axes, "pitches (% of frames in which each sounds)")


def _plot_voices(axes: Axes, voices: Sequence[int]) -> None:
    shares = 100 * np.asarray(voices) / sum(voices)
    axes.bar(np.arange(len(voices)), shares, width=0.85, color=COLOURS[0])
    label_integers(axes.xaxis)
    style_axes(axes, "polyphony (% of frames)", "pitches that sound at once")


def _plot_counts(axes: Axes, title: str, counts: Mapping[str, int]) -> None:
    rows = most_common(counts)
    largest = max(count for _, count in rows)
    colours = [COLOURS[0]] * len(rows)
    if len(rows) < len(counts):
        colours[-1] = COLOURS[-1]
    axes.barh(range(len(rows)), [count for _, count in rows], height=0.75, color=colours)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], parse_math=False)
    for place, (_, count) in enumerate(rows):
        axes.annotate(
            f"{count:,}", (count, place), xytext=(3, 0), textcoords="offset points", va="center_baseline"
        )
    axes.set_ylim(MOST_BARS - 0.5, -0.5)
    axes.set_xlim(0, 1.15 * largest)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    set_title(axes, title)


def _plot_lengths(axes: Axes, lengths: Mapping[str, NDArray[Any]], unit: str) -> None:
    every = np.concatenate(list(lengths.values()))
    edges = np.histogram_bin_edges(every, min(MOST_BINS, math.isqrt(len(every)) + 4))
    axes.hist(
        list(lengths.values()),
        bins=edges.tolist(),
        stacked=True,
        color=COLOURS[: len(lengths)],
        label=list(lengths),
    )
    axes.legend(frameon=False)
    label_integers(axes.yaxis)
    style_axes(axes, "lengths (pieces)", unit)
