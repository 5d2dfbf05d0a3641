"""How often cells go on, start and end from frame to frame: all that the baselines need to know of music.

Frames are counted as they lie on disk, eight cells a byte: a histogram of the bytes of each column says how
often each of its bits is set, at a fraction of what unpacking them takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus import Split

AT_ONCE = 2**18
"""Frames counted at a time."""

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
"""The bits of every byte, the highest first, shape (256, 8)."""


@dataclass(frozen=True)
class Transitions:
    """Counts of what cells do from one frame to the next; before its first frame a piece is silent.

    Attributes:
        counts: How often a cell had the value of the first index in the frame before and that of the second
            in this one, first frames included, shape (2, 2, D).
        firsts: How often each cell is one in a first frame, shape (D,).
        pieces: Number of pieces, so of first frames.
    """

    counts: NDArray[np.int64]
    firsts: NDArray[np.int64]
    pieces: int

    def between_frames(self) -> NDArray[np.int64]:
        """Return the counts without first frames, shape (2, 2, D)."""
        counts: NDArray[np.int64] = self.counts.copy()
        counts[0, 1] -= self.firsts
        counts[0, 0] -= self.pieces - self.firsts
        return counts


def count_transitions(split: Split) -> Transitions:
    """Count what the cells of all pieces do from frame to frame.

    Raises:
        CorpusError: Frames of a piece aren't those that were written.
    """
    width = split.layout.width
    ones, held, firsts, lasts = (np.zeros(width, np.int64) for _ in range(4))
    for pieces in _some_at_a_time(split):
        frames = np.concatenate(pieces)
        ends = np.cumsum([len(piece) for piece in pieces])
        begun = np.concatenate([[0], ends[:-1]])
        before = np.zeros_like(frames)
        before[1:] = frames[:-1]
        before[begun] = 0
        ones += column_ones(frames, width)
        held += column_ones(frames & before, width)
        firsts += column_ones(frames[begun], width)
        lasts += column_ones(frames[ends - 1], width)
    sounded = ones - lasts
    counts = np.array([[split.frames - sounded - ones + held, ones - held], [sounded - held, held]])
    return Transitions(counts, firsts, len(split))


def column_ones(packed: NDArray[np.uint8], width: int) -> NDArray[np.int64]:
    """Count the ones of each column of packed frames, shape (T, ceil(D / 8)) to shape (D,)."""
    columns = packed.shape[1]
    keys = packed + 256 * np.arange(columns)
    histograms = np.bincount(keys.ravel(), minlength=256 * columns).reshape(columns, 256)
    return np.asarray((histograms @ _BITS).reshape(-1)[:width])


def _some_at_a_time(split: Split) -> Iterator[list[NDArray[np.uint8]]]:
    """Yield the packed frames of all pieces, as many pieces at a time as have ``AT_ONCE`` frames."""
    pieces, frames = list[NDArray[np.uint8]](), 0
    for index in range(len(split)):
        pieces.append(split.packed(index))
        frames += len(pieces[-1])
        if frames >= AT_ONCE:
            yield pieces
            pieces, frames = [], 0
    if pieces:
        yield pieces
