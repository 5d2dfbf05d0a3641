from __future__ import annotations

import pytest

from musicrnn.evaluation.metrics import FrameMetrics


def test_scores_are_those_of_bay_2009_by_hand() -> None:
    found = FrameMetrics(true_positives=3, false_positives=1, false_negatives=2)
    assert (found.accuracy, found.precision, found.recall) == (3 / 6, 3 / 4, 3 / 5)
    assert found.f1 == pytest.approx(2 / (4 / 3 + 5 / 3))


def test_without_counts_scores_are_zero() -> None:
    empty = FrameMetrics(0, 0, 0)
    assert (empty.accuracy, empty.precision, empty.recall, empty.f1) == (0, 0, 0, 0)
