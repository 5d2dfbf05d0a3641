from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import wilcoxon

from musicrnn.errors import ModelError
from musicrnn.evaluation.comparison import compare, sign_flip_test
from musicrnn.evaluation.likelihood import PieceLikelihood

RNG = np.random.default_rng(7)


def pieces(nll: np.ndarray, frames: np.ndarray) -> list[PieceLikelihood]:
    return [
        PieceLikelihood(f"{i}.mid", int(t), float(n))
        for i, (n, t) in enumerate(zip(nll, frames, strict=True))
    ]


def test_the_difference_is_pooled_and_counted() -> None:
    frames = np.array([10, 30, 5, 0])
    found = compare(
        pieces(np.array([2.0, 3.0, 1.0, 0.0]), frames), pieces(np.array([3.0, 2.5, 1.0, 0.0]), frames)
    )
    assert found.difference == pytest.approx((-10 + 15) / 45)
    assert (found.better, found.worse, found.equal) == (1, 1, 1), "a piece without frames is not counted"


def test_few_pieces_are_flipped_in_every_way() -> None:
    gaps = RNG.normal(0.4, 1, 8)
    sums = [abs(np.dot(signs, gaps)) for signs in product([1, -1], repeat=8)]
    expected = np.mean([total >= abs(gaps.sum()) - 1e-9 for total in sums])
    assert sign_flip_test(gaps) == expected
    assert sign_flip_test(np.ones(5)) == 2 / 32


def test_many_pieces_are_flipped_at_random() -> None:
    gaps = RNG.normal(0.5, 1, 13)
    exact = sign_flip_test(gaps)
    padded = np.concatenate([gaps, np.zeros(3)])  # these change only the number of pieces
    assert sign_flip_test(padded) == pytest.approx(exact, abs=0.02)
    assert sign_flip_test(padded) == sign_flip_test(padded)
    assert sign_flip_test(np.ones(100)) == 1 / 10_001, "never zero"


def test_the_signed_rank_test_is_scipys() -> None:
    frames = RNG.integers(10, 50, 40)
    one, two = RNG.normal(8, 1, 40), RNG.normal(8.5, 1, 40)
    found = compare(pieces(one, frames), pieces(two, frames))
    assert found.wilcoxon_p == pytest.approx(wilcoxon(one - two).pvalue)
    assert found.interval is not None and found.interval.low < found.difference < found.interval.high
    swapped = compare(pieces(two, frames), pieces(one, frames))
    assert swapped.difference == -found.difference
    assert swapped.wilcoxon_p == pytest.approx(found.wilcoxon_p)


def test_false_positives_are_rare() -> None:
    found = [sign_flip_test(RNG.normal(0, 1, 12)) for _ in range(200)]
    assert np.mean(np.array(found) <= 0.05) < 0.12


def test_a_model_does_not_differ_from_itself() -> None:
    frames = np.full(20, 9)
    same = pieces(RNG.normal(8, 1, 20), frames)
    found = compare(same, same)
    assert (found.difference, found.permutation_p, found.wilcoxon_p, found.equal) == (0, 1, 1, 20)


def test_different_pieces_are_refused() -> None:
    with pytest.raises(ModelError, match="expected the same pieces and frames of both"):
        compare(pieces(np.ones(2), np.array([5, 6])), pieces(np.ones(2), np.array([5, 7])))
    with pytest.raises(ModelError, match="expected the same pieces and frames of both"):
        compare(pieces(np.ones(2), np.array([5, 6])), pieces(np.ones(1), np.array([5])))
