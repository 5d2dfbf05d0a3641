"""What was counted as charts: the page of a corpus as a picture, and bars of text for the terminal.

A picture is made as in ``draw``: the same input gives the same bytes, and matplotlib is imported where it
is used.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.music.draw import COLOURS, FAINT, draw_panels, draw_title, picture
from musicrnn.music.pianoroll import PianoRoll
from musicrnn.music.terminal import EIGHTHS
from musicrnn.music.tonality import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 8
MOST_BINS = 40
_HORIZONTAL = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Overview:
    """What the page of a corpus shows.

    Attributes:
        title: What the corpus is.
        caption: What else is to be said of it, in sentences that each begin a line.
        roll: Title and roll of a piece.
        pitches: Frames in which each MIDI pitch sounds.
        voices: Frames in which 0, 1, 2 … pitches sound.
        keys: Pieces in each key.
        metres: Pieces in each metre.
        lengths: Lengths of the pieces of each split, shape (N,).
        unit: What the lengths are counted in.
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


def draw_overview(overview: Overview, path: Path | str) -> None:
    """Draw the page of a corpus: a piece, and below it how pitches, voices, keys, metres and lengths spread.

    Args:
        overview: What to show.
        path: The picture; its suffix is .png, .svg or .pdf.

    Raises:
        FileError: The suffix is another, or the file can't be written.
    """
    with picture(Path(path), 10, 8.6) as figure:
        figure.suptitle(overview.title, x=0.012, ha="left", fontsize=12, fontweight="bold", parse_math=False)
        caption = "\n".join(line for part in overview.caption for line in textwrap.wrap(part, 150))
        figure.supxlabel(caption, x=0.012, ha="left", fontsize=9, parse_math=False)
        places = figure.add_gridspec(3, 6, height_ratios=(1.15, 1, 1))
        draw_panels([figure.add_subplot(places[0, :])], [overview.roll])
        _draw_pitches(figure.add_subplot(places[1, :4]), overview.pitches, sum(overview.voices))
        _draw_voices(figure.add_subplot(places[1, 4:]), overview.voices)
        _draw_counts(figure.add_subplot(places[2, :2]), "keys (pieces)", overview.keys)
        _draw_counts(figure.add_subplot(places[2, 2:4]), "metres (pieces)", overview.metres)
        _draw_lengths(figure.add_subplot(places[2, 4:]), overview.lengths, overview.unit)


def most_common(counts: Mapping[str, int], most: int = MOST_BARS) -> list[tuple[str, int]]:
    """Return what is counted most; where that is more than ``most`` rows, the last one sums all others."""
    rows = sorted(counts.items(), key=lambda row: -row[1])
    if len(rows) <= most:
        return rows
    others = rows[most - 1 :]
    return [*rows[: most - 1], (f"{len(others)} others", sum(count for _, count in others))]


def bar_lines(
    rows: Sequence[tuple[str, int]], width: int = 24, text: Callable[[int], str] = "{:,}".format
) -> list[str]:
    """Draw counts as horizontal bars of characters.

    Args:
        rows: Label and count of each bar.
        width: Columns to fit into; a bar has at least one.
        text: Makes the number behind a bar of its count.

    Returns:
        A line for each row: label, bar, number. What was counted at all has a bar that can be seen.
    """
    labels, numbers = [label for label, _ in rows], [text(count) for _, count in rows]
    left, right = max(map(len, labels), default=0), max(map(len, numbers), default=0)
    room = max(1, width - left - right - 2)
    largest = max((count for _, count in rows), default=0) or 1
    lines = []
    for label, number, (_, count) in zip(labels, numbers, rows, strict=True):
        eighths = -(-8 * room * count // largest)
        bar = "█" * (eighths // 8) + _HORIZONTAL[eighths % 8].strip()
        lines.append(f"{label:{left}} {bar:{room}} {number:>{right}}")
    return lines


def pitch_lines(pitches: Mapping[int, int], width: int = 80) -> list[str]:
    """Draw how much each pitch has of the largest, a character a pitch, or a few where there are many.

    Args:
        pitches: Count of each MIDI pitch; there must be one.
        width: Columns to fit into; fewer than 16 are taken as 16.

    Returns:
        The bars, and a line below that names each C.
    """
    low, high = min(pitches), max(pitches)
    step = next(step for step in (1, 2, 3, 4, 6, 12) if high // step - low // step < max(16, width))
    first = low // step
    columns = np.zeros(high // step - first + 1, np.int64)
    for pitch, count in pitches.items():
        columns[pitch // step - first] += count
    levels = -(-8 * columns // (columns.max() or 1))
    names = ""
    for octave in range(-(-first * step // 12), high // 12 + 1):
        column = 12 * octave // step - first
        if len(names) < max(1, column):
            names = names.ljust(column) + pitch_name(12 * octave)
    return ["".join(EIGHTHS[level] for level in levels).rstrip(), names[: max(16, width)].rstrip()]


def _draw_pitches(axes: Axes, pitches: Mapping[int, int], frames: int) -> None:
    shares = [100 * count / frames for count in pitches.values()]
    axes.bar(list(pitches), shares, width=0.85, color=COLOURS[0])
    low, high = min(pitches, default=60), max(pitches, default=71)
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    axes.set_xticks(ticks, [pitch_name(pitch) for pitch in ticks])
    axes.set_xlim(low - 1, high + 1)
    _style(axes, "pitches (% of frames in which each sounds)")


def _draw_voices(axes: Axes, voices: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    shares = 100 * np.asarray(voices) / sum(voices)
    axes.bar(np.arange(len(voices)), shares, width=0.85, color=COLOURS[0])
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel("pitches that sound at once")
    _style(axes, "polyphony (% of frames)")


def _draw_counts(axes: Axes, title: str, counts: Mapping[str, int]) -> None:
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
    draw_title(axes, title)


def _draw_lengths(axes: Axes, lengths: Mapping[str, NDArray[Any]], unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

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
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel(unit)
    _style(axes, "lengths (pieces)")


def _style(axes: Axes, title: str) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    draw_title(axes, title)
