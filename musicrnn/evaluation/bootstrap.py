"""Confidence intervals by the bootstrap over pieces.

Frames of one piece are correlated, pieces are not. So a resample takes as many pieces as there are, with
replacement; the interval is between quantiles of the measure over resamples.

References:
    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 10_000
"""Resamples for up to a thousand pieces; fewer for more pieces, but never less than a thousand."""

CHUNK_SIZE = 2**20
"""Random numbers held in memory at a time."""


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval, with a share ``level`` of the resamples inside."""

    low: float
    high: float
    level: float
    resamples: int


def bootstrap_interval(nats: NDArray[np.float64], frames: NDArray[np.int64]) -> Interval | None:
    """Return the confidence interval of nats per frame, all frames pooled.

    Args:
        nats: Nats of each piece, or differences of nats, shape (N,).
        frames: Frames of each piece, shape (N,); pieces without any are left out.

    Returns:
        The interval, or None if there are fewer than two pieces.
    """
    nats, counts = nats[frames > 0], frames[frames > 0].astype(np.float64)
    pieces = len(nats)
    if pieces < 2:
        return None
    resamples = RESAMPLES if pieces <= 1000 else max(1000, 1000 * RESAMPLES // pieces)
    rng, values = np.random.default_rng(0), np.empty(resamples)
    rows = max(1, CHUNK_SIZE // pieces)
    for start in range(0, resamples, rows):
        chunk = values[start : start + rows]
        sampled = rng.integers(0, pieces, (len(chunk), pieces), np.int32)
        chunk[:] = nats[sampled].sum(axis=1) / counts[sampled].sum(axis=1)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(low, high, LEVEL, resamples)
