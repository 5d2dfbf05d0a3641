from __future__ import annotations

import numpy as np
import pytest

from musicrnn.evaluation import FrameMetrics, frame_metrics


def test_scores_are_those_of_bay_2009_by_hand() -> None:
    truth = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
    predicted = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
    found = frame_metrics(predicted, truth)
    assert found == FrameMetrics(true_positives=3, false_positives=1, false_negatives=1)
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.precision == found.recall == found.f1 == pytest.approx(3 / 4)


def test_counts_are_pooled_before_they_are_divided() -> None:
    pooled = FrameMetrics(1, 0, 0) + FrameMetrics(0, 3, 0)
    assert pooled.precision == 1 / 4 and pooled.recall == 1 and pooled.f1 == pytest.approx(2 / 5)


def test_silence_earns_nothing() -> None:
    nothing = frame_metrics(np.zeros((5, 3), bool), np.zeros((5, 3), bool))
    assert (nothing.accuracy, nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0, 0)
