"""Piano rolls and histograms drawn with characters, for the terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from musicrnn.errors import RollError
from musicrnn.music.draw import pitch_span
from musicrnn.music.pianoroll import PianoRoll
from musicrnn.music.tonality import PITCH_CLASSES, pitch_name

# In the terminal a character holds two moments, and two pitches (quadrants) or four (braille). The bits
# of its code are the cells from the upper left to the lower right.
_BRAILLE_BITS = (1, 8, 2, 16, 4, 32, 64, 128)
_GLYPHS = {
    2: " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█",
    4: " "
    + "".join(chr(0x2800 + sum(_BRAILLE_BITS[i] for i in range(8) if n >> i & 1)) for n in range(1, 256)),
}
EIGHTHS = " ▁▂▃▄▅▆▇█"
_MARGIN = 6


def terminal_roll(roll: PianoRoll, width: int = 80, height: int = 24) -> str:
    """Draw which pitches sound with characters. Long or tall rolls are thinned so that no note is lost.

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
    cells = _cells(roll, high, (columns, rows * tall, per_line // tall))
    drawn = []
    for row, text in enumerate(_characters(cells, tall)):
        top = high - row * per_line
        label = pitch_name(top - top % 12) if top % 12 < per_line else ""
        drawn.append(f"{label:>4} {'┤' if label else '│'}{text}".rstrip())
    return "\n".join([*drawn, " " * _MARGIN + _time_axis(roll.quarters, -(-cells.shape[1] // 2))])


def histogram_line(histogram: ArrayLike) -> str:
    """Draw how much each of the 12 pitch classes, from C to B, has of the largest: ``C █ C#   D ▅ …``."""
    values = np.asarray(histogram, np.float64)
    if values.shape != (12,) or not (values >= 0).all():
        raise RollError(f"a pitch-class histogram must hold 12 numbers of at least 0, got {values.tolist()}")
    levels = np.ceil(8 * values / (values.max() or 1)).astype(int)
    return "  ".join(f"{name} {EIGHTHS[level]}" for name, level in zip(PITCH_CLASSES, levels, strict=True))


def _cells(roll: PianoRoll, high: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return what sounds in each cell, shape (pitch cells, time cells), high pitches first.

    Args:
        roll: The roll.
        high: The pitch at the top.
        shape: Time cells at most, pitch cells, and pitches in a pitch cell.
    """
    most, rows, per_cell = shape
    frames = _widened(roll, min(4, most // len(roll)))
    columns = min(most, len(frames))
    pooled = np.maximum.reduceat(frames, np.arange(columns) * len(frames) // columns, axis=0)
    cells = np.zeros((columns, rows * per_cell), np.uint8)
    below = high - np.arange(roll.layout.low, roll.layout.high + 1)
    shown = (below >= 0) & (below < rows * per_cell)
    cells[:, below[shown]] = pooled[:, shown]
    return np.asarray(cells.reshape(columns, rows, per_cell).max(axis=2).T)


def _widened(roll: PianoRoll, times: int) -> NDArray[np.uint8]:
    """Return what sounds with each frame repeated; that leaves room for a gap before a repeated note."""
    if times < 2:
        return roll.sounding
    frames = np.repeat(roll.sounding, times, axis=0)
    frames[times - 1 : -1 : times] &= 1 - roll.onsets[1:]
    return frames


def _characters(cells: NDArray[np.uint8], tall: int) -> list[str]:
    """Return cells, shape (pitch cells, time cells), as lines of characters that hold ``tall`` x 2 each."""
    even = np.pad(cells, ((0, 0), (0, cells.shape[1] % 2)))
    blocks = (
        even.reshape(len(cells) // tall, tall, -1, 2).swapaxes(1, 2).reshape(len(cells) // tall, -1, 2 * tall)
    )
    codes = blocks @ (1 << np.arange(2 * tall))
    return ["".join(_GLYPHS[tall][code] for code in line) for line in codes]


def _time_axis(quarters: float, columns: int) -> str:
    """Return a line of at most ``columns`` characters with numbers of quarter notes where they begin."""
    step, spacing = 1, len(str(int(quarters))) + 3
    while step * columns < spacing * quarters:
        step *= 2
    line = ""
    for quarter in range(0, int(np.ceil(quarters)), step):
        line = line.ljust(int(quarter / quarters * columns)) + str(quarter)
    return line[:columns].rstrip()
