"""Batches of pieces of like length, padded at the end, with masks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.store import Split


class Batch(NamedTuple):
    """Pieces side by side.

    Attributes:
        frames: Binary frames, float32, shape (B, T, D); zero on padding.
        mask: True on real frames, shape (B, T).
        pieces: Position of each piece in its split.
    """

    frames: NDArray[np.float32]
    mask: NDArray[np.bool_]
    pieces: list[int]


def training_batches(split: Split, batch_size: int, seed: str) -> Iterator[Batch]:
    """Yield every piece once, neighbours in length together, in an order that the seed fixes.

    Lengths are blurred by up to a tenth before sorting, so pieces change partners from seed to seed.
    """
    rng = random.Random(seed)
    lengths = split.lengths.tolist()
    order = sorted(range(len(split)), key=lambda index: lengths[index] * rng.uniform(1, 1.1))
    batches = _cut(order, batch_size)
    rng.shuffle(batches)
    return (_collate(split, batch) for batch in batches)


def evaluation_batches(split: Split, batch_size: int = 32) -> Iterator[Batch]:
    """Yield every piece once, sorted by length."""
    order = np.argsort(split.lengths, kind="stable").tolist()
    return (_collate(split, batch) for batch in _cut(order, batch_size))


def _cut(order: Sequence[int], size: int) -> list[list[int]]:
    return [list(order[start : start + size]) for start in range(0, len(order), size)]


def _collate(split: Split, pieces: list[int]) -> Batch:
    rolls = [split.read(index) for index in pieces]
    frames = np.zeros((len(rolls), max(map(len, rolls)), rolls[0].shape[1]), np.float32)
    mask = np.zeros(frames.shape[:2], bool)
    for row, roll in enumerate(rolls):
        frames[row, : len(roll)] = roll
        mask[row, : len(roll)] = True
    return Batch(frames, mask, pieces)
