"""Confidence intervals by the bootstrap over pieces.

Frames of one piece are alike, pieces are not: so it is pieces that are drawn anew, with replacement, as many
as there are, and the measure is computed for each draw. The interval holds the middle of what comes out.

References:
    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 10_000
"""Draws where there are up to a thousand pieces; fewer for more pieces, but never less than a thousand."""

_AT_ONCE = 2**20


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Share of the draws inside.
        resamples: Number of draws.
    """

    low: float
    high: float
    level: float
    resamples: int


def bootstrap_interval(
    nats: NDArray[np.float64], frames: NDArray[np.int64], *, level: float = LEVEL, seed: int = 0
) -> Interval | None:
    """Return the confidence interval of nats per frame, all frames pooled.

    Args:
        nats: Nats of each piece, or differences of nats, shape (N,).
        frames: Frames of each piece, shape (N,); pieces without any are left out.
        level: Share of the draws inside.
        seed: What is drawn comes from it.

    Returns:
        The interval, or None where there are fewer than two pieces.
    """
    nats, counts = nats[frames > 0], frames[frames > 0].astype(np.float64)
    pieces = len(nats)
    if pieces < 2:
        return None
    resamples = RESAMPLES if pieces <= 1000 else max(1000, 1000 * RESAMPLES // pieces)
    rng, values = np.random.default_rng(seed), np.empty(resamples)
    rows = max(1, _AT_ONCE // pieces)
    for start in range(0, resamples, rows):
        part = values[start : start + rows]
        drawn = rng.integers(0, pieces, (len(part), pieces), np.int32)
        part[:] = nats[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(low, high, level, resamples)
