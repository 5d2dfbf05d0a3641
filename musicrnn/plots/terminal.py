"""Piano rolls and histograms as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import PianoRoll
from musicrnn.music.tonality import PITCH_CLASSES, pitch_name
from musicrnn.plots.rolls import pitch_span

# In the terminal a character holds two moments, and two pitches (quadrants) or four (braille). The bits
# of its code are the cells from the upper left to the lower right.
_BRAILLE_BITS = (1, 8, 2, 16, 4, 32, 64, 128)
_BRAILLE = [
    chr(0x2800 + sum(bit for place, bit in enumerate(_BRAILLE_BITS) if code >> place & 1))
    for code in range(256)
]
_GLYPHS = {2: " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█", 4: [" ", *_BRAILLE[1:]]}
_VERTICAL, _HORIZONTAL = " ▁▂▃▄▅▆▇█", " ▏▎▍▌▋▊▉█"
_MARGIN = 6


def roll_text(roll: PianoRoll, width: int = 80, height: int = 24) -> str:
    """Return a roll as text. Long or tall rolls are scaled down so that no note is lost.

    Args:
        roll: The roll.
        width: Columns to fit into; fewer than 24 are taken as 24.
        height: Lines to fit into; fewer than 4 are taken as 4.

    Returns:
        Lines without trailing spaces: pitches from high to low with each C named, then quarter notes.
    """
    lines, columns = max(4, height) - 1, 2 * (max(24, width) - _MARGIN)
    low, high = pitch_span([roll])
    tall = 2 if high - low < 2 * lines else 4
    per_line = tall * -(-(high - low + 1) // (tall * lines))
    rows = -(-(high - low + 1) // per_line)
    cells = _cells(roll, high, columns, rows * tall, per_line // tall)
    even = np.pad(cells, ((0, 0), (0, cells.shape[1] % 2)))
    blocks = even.reshape(rows, tall, -1, 2).swapaxes(1, 2).reshape(rows, -1, 2 * tall)
    codes = blocks @ (1 << np.arange(2 * tall))
    text = []
    for row, line in enumerate(codes):
        top = high - row * per_line
        label = pitch_name(top - top % 12) if top % 12 < per_line else ""
        characters = "".join(_GLYPHS[tall][code] for code in line)
        text.append(f"{label:>4} {'┤' if label else '│'}{characters}".rstrip())
    return "\n".join([*text, " " * _MARGIN + _time_axis(roll.quarters, codes.shape[1])])


def histogram_line(histogram: ArrayLike) -> str:
    """Return the 12 pitch classes from C to B, relative to the largest: ``C █ C#   D ▅ …``."""
    values = np.asarray(histogram, np.float64)
    if values.shape != (12,) or not (values >= 0).all():
        raise RollError(f"a pitch-class histogram must hold 12 numbers of at least 0, got {values.tolist()}")
    levels = np.ceil(8 * values / (values.max() or 1)).astype(int)
    return "  ".join(f"{name} {_VERTICAL[level]}" for name, level in zip(PITCH_CLASSES, levels, strict=True))


def bar_lines(
    rows: Sequence[tuple[str, int]], width: int = 24, text: Callable[[int], str] = "{:,}".format
) -> list[str]:
    """Return counts as horizontal bars of characters.

    Args:
        rows: Label and count of each bar.
        width: Columns to fit into; a bar has at least one.
        text: Formats the number behind a bar.

    Returns:
        A line for each row: label, bar, number. A count above 0 has a visible bar.
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
    """Return a histogram of pitches, relative to the largest: one character for a pitch, or for a few.

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
    return ["".join(_VERTICAL[level] for level in levels).rstrip(), names[: max(16, width)].rstrip()]


def _cells(roll: PianoRoll, high: int, most: int, rows: int, per_cell: int) -> NDArray[np.uint8]:
    """Return what sounds in ``rows`` cells of ``per_cell`` pitches, ``high`` on top, and ``most`` of time.

    Short rolls are widened, which leaves room for a gap before a repeated note.
    """
    frames, times = roll.sounding, min(4, most // len(roll))
    if times > 1:
        frames = np.repeat(frames, times, axis=0)
        frames[times - 1 : -1 : times] &= 1 - roll.onsets[1:]
    columns = min(most, len(frames))
    pooled = np.maximum.reduceat(frames, np.arange(columns) * len(frames) // columns, axis=0)
    cells = np.zeros((columns, rows * per_cell), np.uint8)
    below = high - np.arange(roll.layout.low, roll.layout.high + 1)
    shown = (below >= 0) & (below < rows * per_cell)
    cells[:, below[shown]] = pooled[:, shown]
    return np.asarray(cells.reshape(columns, rows, per_cell).max(axis=2).T)


def _time_axis(quarters: float, columns: int) -> str:
    """Return a line of at most ``columns`` characters with numbers of quarter notes where they begin."""
    step, spacing = 1, len(str(int(quarters))) + 3
    while step * columns < spacing * quarters:
        step *= 2
    line = ""
    for quarter in range(0, int(np.ceil(quarters)), step):
        line = line.ljust(int(quarter / quarters * columns)) + str(quarter)
    return line[:columns].rstrip()
