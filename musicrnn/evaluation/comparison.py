"""Two models on the same pieces: how much better one is, and whether the difference is significant.

Differences are taken piece by piece, and their interval is a bootstrap over pieces. Two paired tests give the
probability of one at least as large under the null hypothesis that the values of each piece are exchangeable:

- the permutation test flips the signs of the pieces' differences in nats (in all ways if there are few
  pieces, else at random) and counts how often their sum, so the pooled difference, is as large;
- the signed-rank test ranks the pieces' differences in nats per frame, so that no piece outweighs others.

References:
    Fisher 1935, "The Design of Experiments", section 21 (the sign-flip test).
    Phipson and Smyth 2010, "Permutation p-values should never be zero", SAGMB 9(1).
    Wilcoxon 1945, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import ModelError
from musicrnn.evaluation.bootstrap import CHUNK_SIZE, Interval, bootstrap_interval
from musicrnn.evaluation.likelihood import PieceLikelihood

FLIPS = 10_000
"""Random sign patterns of the permutation test."""

EXHAUSTIVE_PIECES = 13
"""Most pieces with fewer sign patterns than that; all of them are tried."""


@dataclass(frozen=True)
class Comparison:
    """The difference between two models on the same pieces; below zero the first is better.

    Attributes:
        difference: NLL per frame of the first minus that of the second, all frames pooled, in nats.
        interval: Its confidence interval, or None if there are fewer than two pieces.
        permutation_p: p-value of the sign-flip permutation test, two-sided.
        wilcoxon_p: p-value of Wilcoxon's signed-rank test, two-sided.
        better: Number of pieces on which the first is better; so ``worse`` and ``equal``.
    """

    difference: float
    interval: Interval | None
    permutation_p: float
    wilcoxon_p: float
    better: int
    worse: int
    equal: int


def compare(first: Sequence[PieceLikelihood], second: Sequence[PieceLikelihood]) -> Comparison:
    """Compare two models, or two ways to use one, on the same pieces.

    Args:
        first: Likelihood of each piece under the first.
        second: Likelihood of the same pieces under the second, in the same order.

    Raises:
        ModelError: The pieces or the numbers of frames counted differ.
    """
    frames = np.array([piece.frames for piece in first], np.int64)
    if [(piece.name, piece.frames) for piece in first] != [(piece.name, piece.frames) for piece in second]:
        expected = "expected the same pieces and frames of both"
        raise ModelError(f"two models to compare: {expected}, found different ones")
    nats = (frames * np.array([piece.nll_per_frame for piece in pieces]) for pieces in (first, second))
    gaps = np.subtract(*nats)[frames > 0]
    frames = frames[frames > 0]
    better, worse = int((gaps < 0).sum()), int((gaps > 0).sum())
    return Comparison(
        difference=float(gaps.sum() / frames.sum()) if len(frames) else float("nan"),
        interval=bootstrap_interval(gaps, frames),
        permutation_p=sign_flip_test(gaps),
        wilcoxon_p=_signed_rank_test(gaps / frames),
        better=better,
        worse=worse,
        equal=len(gaps) - better - worse,
    )


def sign_flip_test(gaps: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of paired differences, shape (N,), under random signs."""
    if len(gaps) <= EXHAUSTIVE_PIECES:
        numbers = np.arange(2 ** len(gaps))
        sums = (1.0 - 2 * (numbers[:, None] >> np.arange(len(gaps)) & 1)) @ gaps
        return float(_as_large(sums, gaps).mean())
    rng, as_large, rows = np.random.default_rng(0), 0, max(1, CHUNK_SIZE // len(gaps))
    for start in range(0, FLIPS, rows):
        signs = rng.integers(0, 2, (min(rows, FLIPS - start), len(gaps)), np.int8)
        as_large += int(_as_large(gaps.sum() - 2 * (signs @ gaps), gaps).sum())
    return (as_large + 1) / (FLIPS + 1)


def _as_large(sums: NDArray[np.float64], gaps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which sums are at least as large as that of the differences, up to rounding."""
    return np.asarray(np.abs(sums) >= np.abs(gaps.sum()) - 1e-12 * np.abs(gaps).sum())


def _signed_rank_test(gaps: NDArray[np.float64]) -> float:
    if not gaps.any():
        return 1.0
    from scipy.stats import wilcoxon

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few pieces or ties: it warns that it uses the normal approximation
        return float(wilcoxon(gaps).pvalue)
