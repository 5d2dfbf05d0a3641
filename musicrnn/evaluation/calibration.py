"""Calibration: whether cells with a predicted probability of 0.3 are one in 30% of cases.

Cells are sorted into bins by their predicted probability of being one. A bin's confidence is the mean of
these, its frequency the share of its cells that are one; the expected calibration error is the mean over
cells of |confidence - frequency| of their bins. Most cells are silent with near certainty, which makes it
small; so it is also computed over the likely cells alone, those with a probability of at least ``LIKELY``.

References:
    Murphy and Winkler 1977, "Reliability of subjective probability forecasts", Applied Statistics 26(1).
    Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning",
        AAAI.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
LIKELY = 0.01
"""Probability from which a cell counts as likely; it divides the first bin."""


@dataclass(frozen=True)
class Bin:
    """Cells with predicted probabilities from ``low`` to ``high``.

    Attributes:
        cells: Number of cells.
        confidence: Their mean predicted probability; NaN if there are none.
        frequency: Share of them that are one; NaN if there are none.
    """

    low: float
    high: float
    cells: int
    confidence: float
    frequency: float


@dataclass(frozen=True)
class Calibration:
    """The reliability curve and its deviation from the diagonal.

    Attributes:
        bins: The bins of the reliability curve, over all cells.
        error: The expected calibration error over all cells.
        likely_error: The same over cells with a probability of at least ``LIKELY``.
    """

    bins: list[Bin]
    error: float
    likely_error: float


def count_calibration(
    likely: NDArray[np.float32], ones: NDArray[np.bool_], rest: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return the number of cells, the sum of their probabilities and the number of ones of each bin.

    The result has shape (3, BINS + 1): the first bin has two columns, for the unlikely cells and the others.

    Args:
        likely: Probabilities of at least ``LIKELY``, shape (N,).
        ones: Which of these cells are one, shape (N,).
        rest: All other cells: their number, the sum of their probabilities, the number of ones.
    """
    # The last bin includes its upper edge.
    bins = np.minimum((likely * np.float32(BINS)).astype(np.intp), BINS - 1) + 1
    sums = np.stack(
        [np.bincount(bins, weights, BINS + 1) for weights in (None, likely, ones)], dtype=np.float64
    )
    sums[:, 0] = rest
    return sums


def calibration_of(sums: NDArray[np.float64]) -> Calibration:
    """Return the calibration of cells counted by ``count_calibration``."""
    cells, confidence, ones = merged = np.column_stack([sums[:, 0] + sums[:, 1], sums[:, 2:]])
    edges = (np.arange(BINS + 1) / BINS).tolist()
    with np.errstate(invalid="ignore"):
        columns = (cells.astype(int), confidence / cells, ones / cells)
    bins = list(map(Bin, edges, edges[1:], *(column.tolist() for column in columns)))
    return Calibration(bins, _error(merged), _error(sums[:, 1:]))


def _error(sums: NDArray[np.float64]) -> float:
    cells, confidence, ones = sums
    total = cells.sum()
    return float(np.abs(confidence - ones).sum() / total) if total else float("nan")
