"""Batches of pieces of similar length, padded at the end, with masks.

What is random in training (order, transposition, flipped cells) depends on the seed, the epoch and the piece
alone: a batch can be loaded at any time, by any process, in parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.store import Split

MOST_PADDING = 0.045
"""Most padding in an epoch, as a share; where full batches have more, batches are closed earlier."""

_LIMITS = (1.0, 0.5, 0.25, 0.15, 0.1, 0.07, MOST_PADDING)
"""Shares of padding at which a batch is closed; the first that keeps an epoch to ``MOST_PADDING`` is used."""

_NOISE = 0.03
"""Relative noise on lengths before sorting, so that batches differ from epoch to epoch."""


class Batch(NamedTuple):
    """Several pieces, the longest first.

    Attributes:
        frames: Binary frames, float32, shape (B, T, D); zero on padding.
        inputs: What the network receives at each of them, shape (B, T, D): a zero frame, then the frames.
        mask: True on real frames, shape (B, T).
        pieces: Position of each piece in its split.
        semitones: Transposition of each, shape (B,).
    """

    frames: NDArray[np.float32]
    inputs: NDArray[np.float32]
    mask: NDArray[np.bool_]
    pieces: list[int]
    semitones: NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """How pieces change from epoch to epoch: they are transposed by ``low`` to ``high`` semitones.

    ``flips`` is the probability that a cell of the inputs is flipped (denoising; Vincent et al. 2008).
    """

    low: int = 0
    high: int = 0
    flips: float = 0.0


def training_order(split: Split, size: int, seed: Sequence[int], chunk: int = 0) -> list[list[int]]:
    """Return the batches of an epoch: every piece once, neighbours in length together, batches shuffled.

    Args:
        split: The pieces.
        size: Pieces in a batch at most.
        seed: Seeds the order.
        chunk: Frames that are computed at a time, without rows that have ended; 0 is whole pieces.
    """
    rng = np.random.default_rng(seed)
    noisy = split.lengths * rng.uniform(1, 1 + _NOISE, len(split))
    order = np.argsort(-noisy, kind="stable")
    cuts = (_cut(split, order, size, limit, chunk) for limit in _LIMITS)
    batches = next(batches for batches in cuts if _share(split, batches, chunk) <= MOST_PADDING)
    rng.shuffle(batches)
    return batches


def training_batch(
    split: Split, pieces: Sequence[int], augmentation: Augmentation, seed: Sequence[int]
) -> Batch:
    """Load pieces, each augmented as its number and the seed determine.

    Raises:
        CorpusError: A piece is damaged.
    """
    rolls = [split.read(piece) for piece in pieces]
    moved = [0] * len(rolls)
    if augmentation == Augmentation():
        return _collate(rolls, list(pieces), moved)
    sources = [np.random.default_rng([*seed, piece]) for piece in pieces]
    if augmentation.low or augmentation.high:
        random = (source.integers(augmentation.low, augmentation.high, endpoint=True) for source in sources)
        pitches = split.layout.pitches
        moved = [fitting(roll, int(by), pitches) for roll, by in zip(rolls, random, strict=True)]
        rolls = [transposed(roll, by, pitches) for roll, by in zip(rolls, moved, strict=True)]
    batch = _collate(rolls, list(pieces), moved)
    if augmentation.flips:
        for row, roll, source in zip(batch.inputs, rolls, sources, strict=True):
            flip(row[: len(roll)].reshape(-1), augmentation.flips, source)
    return batch


def evaluation_batches(split: Split, batch_size: int = 32) -> Iterator[Batch]:
    """Yield every piece once, sorted by length."""
    order = np.argsort(-split.lengths, kind="stable")
    for pieces in _cut(split, order, batch_size, most=0.25):
        yield _collate([split.read(piece) for piece in pieces], pieces, [0] * len(pieces))


def fitting(frames: NDArray[np.uint8], semitones: int, pitches: int) -> int:
    """Return the transposition nearest to ``semitones`` that keeps all notes of frames (T, D) in range."""
    used = np.flatnonzero(frames.any(axis=0).reshape(-1, pitches).any(axis=0))
    return min(max(semitones, -int(used[0])), pitches - 1 - int(used[-1])) if len(used) else 0


def transposed(frames: NDArray[np.uint8], semitones: int, pitches: int) -> NDArray[np.uint8]:
    """Transpose frames (T, D), whose columns are one or more blocks of pitches; see ``fitting``."""
    if not semitones:
        return frames
    blocks = np.roll(frames.reshape(len(frames), -1, pitches), semitones, axis=2)
    return np.ascontiguousarray(blocks.reshape(frames.shape))


def flip(cells: NDArray[np.float32], probability: float, source: np.random.Generator) -> None:
    """Flip each binary cell (N,) in place with a probability.

    The gaps between flips, which are geometric, are sampled: that takes fewer random numbers than cells.
    """
    before = -1
    while before < len(cells):
        expected = probability * (len(cells) - before)
        gaps = source.geometric(probability, math.ceil(expected + 4 * math.sqrt(expected)) + 1)
        flipped = np.cumsum(gaps) + before
        before = int(flipped[-1])
        flipped = flipped[flipped < len(cells)]
        cells[flipped] = 1 - cells[flipped]


def _cut(split: Split, order: NDArray[np.int64], size: int, most: float, chunk: int = 0) -> list[list[int]]:
    """Cut pieces, long ones first, into batches of at most ``size`` and with at most ``most`` padding.

    Full batches are found many at a time, since nearly all are full where lengths differ little.
    """
    lengths, batches = split.lengths[order], list[list[int]]()
    start, ahead = 0, 1
    while start < len(order):
        full = min(ahead, (len(order) - start) // size)
        rows = slice(start, start + full * size)
        closed = (_padding(lengths[rows].reshape(full, size), chunk) > most).any(axis=1)
        fitting = int(closed.argmax()) if closed.any() else full
        count = size
        if not fitting:
            too_much = _padding(lengths[None, start : start + size], chunk)[0] > most
            fitting, count = 1, max(1, int(too_much.argmax()) if too_much.any() else len(too_much))
        rows = slice(start, start + fitting * count)
        found = lengths[rows].reshape(fitting, count)
        longest_first = np.argsort(-found, axis=1, kind="stable")
        batches += np.take_along_axis(order[rows].reshape(fitting, count), longest_first, axis=1).tolist()
        start = rows.stop
        ahead = 2 * ahead if fitting == full else 1
    return batches


def _padding(lengths: NDArray[np.int64], chunk: int) -> NDArray[np.float64]:
    """Return the share of padding in the first 1, 2, … pieces of batches, shape (N, B) to shape (N, B)."""
    longest = lengths.max(axis=1, keepdims=True)
    computed = np.minimum(-(-lengths // chunk) * chunk if chunk else longest, longest)
    computed = np.broadcast_to(computed, lengths.shape)
    return np.asarray(1 - np.cumsum(lengths, axis=1) / np.cumsum(computed, axis=1))


def _share(split: Split, batches: Sequence[Sequence[int]], chunk: int) -> float:
    """Return the share of padding in all batches."""
    sizes = np.array([len(batch) for batch in batches])
    starts = np.cumsum(sizes) - sizes
    lengths = split.lengths[[piece for batch in batches for piece in batch]]
    longest = np.repeat(np.maximum.reduceat(lengths, starts), sizes)
    computed = np.minimum(-(-lengths // chunk) * chunk, longest) if chunk else longest
    return float(1 - lengths.sum() / computed.sum())


def _collate(rolls: Sequence[NDArray[np.uint8]], pieces: list[int], semitones: list[int]) -> Batch:
    """Stack rolls, padded to the length of the longest."""
    frames = np.zeros((len(rolls), max(map(len, rolls)), rolls[0].shape[1]), np.float32)
    inputs, mask = np.zeros_like(frames), np.zeros(frames.shape[:2], bool)
    for row, roll in enumerate(rolls):
        frames[row, : len(roll)] = roll
        inputs[row, 1 : len(roll)] = roll[:-1]
        mask[row, : len(roll)] = True
    return Batch(frames, inputs, mask, pieces, np.array(semitones, np.int64))
