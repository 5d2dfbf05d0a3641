"""Calibration: whether notes that are given a probability of 0.3 come three times in ten.

Cells are sorted into bins by the probability they were given to be one. A bin's confidence is the mean of
these probabilities, its frequency the share of its cells that were one; the reliability curve is frequency
over confidence. The expected calibration error is the mean over cells of |confidence - frequency| of their
bins. Nearly all cells are silent and known to be, which makes that mean small whatever happens to the rest;
so it is given a second time for the likely cells alone, those with a probability of at least ``LIKELY``.

References:
    Murphy and Winkler 1977, "Reliability of subjective probability forecasts", Applied Statistics 26(1).
    Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning",
        AAAI.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BINS = 10
"""Bins of equal width between 0 and 1."""

LIKELY = 0.01
"""Probability from which a cell counts as likely; it divides the first bin."""


@dataclass(frozen=True)
class Bin:
    """Cells that were given about the same probability.

    Attributes:
        low: Least probability.
        high: Where the next bin begins.
        cells: How many cells.
        confidence: Their mean probability; NaN where there are none.
        frequency: Share of them that were one; NaN where there are none.
    """

    low: float
    high: float
    cells: int
    confidence: float
    frequency: float


@dataclass(frozen=True)
class Calibration:
    """Sums over cells, of those below ``LIKELY``, of the rest of the first bin, and of the other bins.

    Attributes:
        cells: Number of cells, shape (BINS + 1,).
        confidence: Sum of their probabilities, shape (BINS + 1,).
        ones: How many were one, shape (BINS + 1,).
    """

    cells: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS + 1))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS + 1))
    ones: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS + 1))

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(
            self.cells + other.cells, self.confidence + other.confidence, self.ones + other.ones
        )

    @property
    def bins(self) -> list[Bin]:
        """The bins of the reliability curve, over all cells."""
        edges = (np.arange(BINS + 1) / BINS).tolist()
        with np.errstate(invalid="ignore"):
            cells, confidence, ones = (_whole(sums) for sums in (self.cells, self.confidence, self.ones))
            rows = zip(edges, edges[1:], cells, confidence / cells, ones / cells, strict=False)
        return [
            Bin(low, high, int(count), float(mean), float(share)) for low, high, count, mean, share in rows
        ]

    @property
    def error(self) -> float:
        """The expected calibration error over all cells."""
        return _error(*(_whole(sums) for sums in (self.cells, self.confidence, self.ones)))

    @property
    def likely_error(self) -> float:
        """The expected calibration error over cells with a probability of at least ``LIKELY``."""
        return _error(self.cells[1:], self.confidence[1:], self.ones[1:])


def count_calibration(
    likely: NDArray[np.float32], ones: NDArray[np.bool_], rest: tuple[float, float, float]
) -> Calibration:
    """Sort cells into bins.

    Args:
        likely: Probabilities of at least ``LIKELY``, shape (N,).
        ones: Which of these cells were one, shape (N,).
        rest: All other cells: how many, the sum of their probabilities, how many were one.
    """
    # The last bin has its upper edge.
    bins = np.minimum((likely * np.float32(BINS)).astype(np.intp), BINS - 1) + 1
    sums = (np.bincount(bins, weights, BINS + 1).astype(np.float64) for weights in (None, likely, ones))
    found = Calibration(*sums)
    for total, first in zip((found.cells, found.confidence, found.ones), rest, strict=True):
        total[0] = first
    return found


def _whole(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the two parts of the first bin, shape (BINS + 1,) to shape (BINS,)."""
    return np.concatenate([[sums[0] + sums[1]], sums[2:]])


def _error(cells: NDArray[np.float64], confidence: NDArray[np.float64], ones: NDArray[np.float64]) -> float:
    total = cells.sum()
    return float(np.abs(confidence - ones).sum() / total) if total else float("nan")
