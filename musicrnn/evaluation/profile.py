"""The likelihood along the piece, by position."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RANGES_PER_OCTAVE = 4
"""Position ranges for every doubling of the position."""


class PositionRange(NamedTuple):
    """Consecutive positions in a piece, counted from 1.

    Attributes:
        first: First position.
        last: Last position.
        frames: Frames at these positions, in all pieces.
        nll_per_frame: Their nats per frame.
    """

    first: int
    last: int
    frames: int
    nll_per_frame: float


def position_ranges(nats: NDArray[np.float64], frames: NDArray[np.int64]) -> list[PositionRange]:
    """Return the NLL along the piece: position by position at first, then in ever longer ranges.

    Args:
        nats: Nats of all frames at each position, first frames at index 0, shape (T,).
        frames: Number of these frames, shape (T,); ranges without any are left out.
    """
    length, powers = len(nats), np.arange(1, 32 * RANGES_PER_OCTAVE) / RANGES_PER_OCTAVE
    ends = np.unique(np.round(2**powers).astype(np.int64))
    ends = ends[ends < length].tolist()
    if len(ends) > 1 and length - ends[-1] < (ends[-1] - ends[-2]) / 2:  # merge a short last range
        ends.pop()
    found = []
    for start, end in zip([0, *ends], [*ends, length], strict=True):
        count = int(frames[start:end].sum())
        if count:
            found.append(PositionRange(start + 1, end, count, float(nats[start:end].sum()) / count))
    return found
