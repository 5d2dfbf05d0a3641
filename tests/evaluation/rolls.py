"""Splits made of arrays, without files."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from hypothesis import strategies as st

from musicrnn.corpus import PieceFacts, Split
from musicrnn.music import Layout, PianoRoll

LAYOUT = Layout(resolution=4, low=60, high=64)


class Rolls:
    """What a split does for those who read it."""

    def __init__(self, frames: list[np.ndarray], layout: Layout = LAYOUT) -> None:
        self._frames = [np.asarray(piece, np.uint8) for piece in frames]
        self.layout = layout
        self.lengths = np.array([len(piece) for piece in frames], np.int64)
        self.frames = int(self.lengths.sum())
        self.pieces = [PieceFacts(f"{index}.mid", "test", len(p), 0, 0) for index, p in enumerate(frames)]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> PianoRoll:
        return PianoRoll.trusted(self._frames[index], self.layout)

    def read(self, index: int) -> np.ndarray:
        return self._frames[index]

    def packed(self, index: int) -> np.ndarray:
        return np.packbits(self._frames[index], axis=1)


class Splits(dict[str, Any]):
    """What a corpus does for those who read it."""

    layout = LAYOUT
    directory = "rolls"


def split(frames: list[np.ndarray], layout: Layout = LAYOUT) -> Split:
    return cast(Split, Rolls(frames, layout))


def random_pieces(lengths: list[int], seed: int, width: int = LAYOUT.width) -> list[np.ndarray]:
    """Pieces with cells that continue and start with their own probabilities."""
    rng = np.random.default_rng(seed)
    on, start = rng.uniform(0.3, 0.95, width), rng.uniform(0.02, 0.5, width)
    pieces = []
    for length in lengths:
        piece, before = np.zeros((length, width), np.uint8), np.zeros(width)
        for frame in piece:
            frame[:] = before = rng.random(width) < np.where(before > 0, on, start)
        pieces.append(piece)
    return pieces


lengths = st.lists(st.integers(1, 12), min_size=1, max_size=5)
