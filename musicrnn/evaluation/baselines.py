"""Baselines to beat: distributions that use no context, or only the previous frame.

The note unigram has one probability for each cell, the bigram two: after a one and after a zero in the
previous frame. Repeating the last frame is the bigram with probabilities shared by all pitches of a channel.
All are fitted on the training pieces, with half a count for either outcome so that no probability is zero.
The frame before the first of a piece is silent. Frames are counted packed, by histograms of the bytes of each
column, at a fraction of the time of unpacking.

References:
    Krichevsky and Trofimov 1981, "The performance of universal encoding", IEEE Trans. Inf. Theory 27(2).
    Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, table 1 (other baselines on these data).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus import Split
from musicrnn.evaluation.metrics import FrameMetrics

CHUNK_FRAMES = 2**18
"""Frames counted at a time, on average."""

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
"""The bits of every byte, the highest first, shape (256, 8)."""


@dataclass(frozen=True)
class Baselines:
    """Nats per frame of each baseline on a split.

    Attributes:
        unigram: Of the note unigram.
        bigram: Of the bigram of each cell.
        repeat: Of repeating the last frame, with two probabilities for each channel.
        repeat_metrics: Frame metrics of the last frame as a prediction of the next.
    """

    unigram: float
    bigram: float
    repeat: float
    repeat_metrics: FrameMetrics


def measure_baselines(train: Split, split: Split, *, skip_first_frame: bool = False) -> Baselines:
    """Fit the baselines on training pieces and measure them on a split.

    Args:
        train: The pieces to fit.
        split: The pieces to score.
        skip_first_frame: Leave the first frame of every piece of ``split`` out of sums and counts.

    Raises:
        CorpusError: Frames of a piece are damaged.
    """
    fitted = count_transitions(train)
    counts, pitches = count_transitions(split, skip_first_frame=skip_first_frame), split.layout.pitches
    shared = fitted.reshape(2, 2, -1, pitches).sum(axis=3)
    (_, starts), (ends, continues) = counts[..., :pitches].sum(axis=2).tolist()
    return Baselines(
        unigram=_nll(_rates(fitted.sum(axis=0, keepdims=True)), counts),
        bigram=_nll(_rates(fitted), counts),
        repeat=_nll(np.repeat(_rates(shared), pitches, axis=1), counts),
        repeat_metrics=FrameMetrics(continues, ends, starts),
    )


def count_transitions(split: Split, *, skip_first_frame: bool = False) -> NDArray[np.int64]:
    """Count how often a cell has the value i in one frame and j in the next, shape (2, 2, D).

    Args:
        split: The pieces; the frame before the first of a piece is silent.
        skip_first_frame: Leave the transitions into the first frame of every piece out.
    """
    width, skipped = split.layout.width, int(skip_first_frame)
    before, after, both = (np.zeros(width, np.int64) for _ in range(3))
    for rows in np.array_split(np.arange(len(split)), min(len(split), 1 + split.frames // CHUNK_FRAMES)):
        pieces = [split.packed(row) for row in rows]
        frames = np.concatenate(pieces)
        ends = np.cumsum([len(piece) for piece in pieces])
        starts = np.concatenate([[0], ends[:-1]])
        previous = np.zeros_like(frames)
        previous[1:] = frames[:-1]
        previous[starts] = 0
        ones = column_ones(frames, width)
        before += ones - column_ones(frames[ends - 1], width)
        after += ones - skipped * column_ones(frames[starts], width)
        both += column_ones(frames & previous, width)
    total = split.frames - skipped * len(split)
    return np.array([[total - before - after + both, after - both], [before - both, both]])


def column_ones(packed: NDArray[np.uint8], width: int) -> NDArray[np.int64]:
    """Count the ones of each column of packed frames, shape (T, ceil(D / 8)) to shape (D,)."""
    columns = packed.shape[1]
    keys = packed + 256 * np.arange(columns)
    histograms = np.bincount(keys.ravel(), minlength=256 * columns).reshape(columns, 256)
    return np.asarray((histograms @ _BITS).reshape(-1)[:width])


def _rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of a one, from counts of zeros and ones on axis 1, shape (N, 2, C) to (N, C)."""
    return np.asarray((counts[:, 1] + 0.5) / (counts.sum(axis=1) + 1))


def _nll(rates: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Return nats per frame, from the rate of ones after zero and after one and the transition counts."""
    frames = int(counts[..., 0].sum())
    nats = -(counts[:, 1] * np.log(rates) + counts[:, 0] * np.log1p(-rates)).sum()
    return float(nats / frames) if frames else float("nan")
