"""Where the nats go: which pitches they are spent on, and how far into a piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PER_OCTAVE = 4
"""Stretches of positions for every doubling of the position."""


class Stretch(NamedTuple):
    """Positions in a piece, counted from 1.

    Attributes:
        first: The first of them.
        last: The last of them.
        frames: Frames at these positions, in all pieces.
        nll_per_frame: Their nats per frame.
    """

    first: int
    last: int
    frames: int
    nll_per_frame: float


@dataclass(frozen=True)
class Profile:
    """Nats by pitch and by position.

    Attributes:
        pitches: Nats per frame of each pitch, of all its channels together, shape (P,). They are those of the
            cells' own probabilities, so where cells are independent they sum to the NLL per frame.
        position_nats: Nats of all frames at each position, first frames at index 0, shape (T,).
        position_frames: How many frames they are, shape (T,).
    """

    pitches: NDArray[np.float64]
    position_nats: NDArray[np.float64]
    position_frames: NDArray[np.int64]

    def stretches(self) -> list[Stretch]:
        """Return the NLL along the piece: position by position at first, then ever longer stretches."""
        found = []
        for first, last in _geometric(len(self.position_nats)):
            frames = int(self.position_frames[first - 1 : last].sum())
            if frames:
                nats = float(self.position_nats[first - 1 : last].sum())
                found.append(Stretch(first, last, frames, nats / frames))
        return found


def _geometric(length: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last position of stretches, counted from 1, that cover so many positions."""
    ends = np.unique(np.round(2 ** (np.arange(1, 32 * PER_OCTAVE) / PER_OCTAVE)).astype(np.int64))
    ends = ends[ends < length].tolist()
    if len(ends) > 1 and length - ends[-1] < (ends[-1] - ends[-2]) / 2:  # too short to say anything
        ends.pop()
    yield from zip([1, *(end + 1 for end in ends)], [*ends, length], strict=True)
