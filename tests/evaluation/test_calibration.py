from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from musicrnn.evaluation.calibration import BINS, LIKELY, calibration_of, count_calibration

probabilities = arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32))


def counted(predicted: np.ndarray, ones: np.ndarray) -> np.ndarray:
    likely = predicted >= LIKELY
    rest = (~likely).sum(), predicted[~likely].sum(dtype=float), ones[~likely].sum()
    return count_calibration(predicted[likely], ones[likely], rest)


@settings(max_examples=40, deadline=None)
@given(probabilities, st.integers(0, 9))
def test_bins_and_errors_are_those_of_a_plain_loop(predicted: np.ndarray, seed: int) -> None:
    ones = np.random.default_rng(seed).random(len(predicted)) < 0.4
    found = calibration_of(counted(predicted, ones))
    cells: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for p, one in zip(predicted.tolist(), ones.tolist(), strict=True):
        cells[min(int(np.float32(p) * BINS), BINS - 1)].append((p, one))
    error = 0.0
    for part, inside in zip(found.bins, cells, strict=True):
        assert part.cells == len(inside)
        if inside:
            assert part.confidence == pytest.approx(np.mean([p for p, _ in inside]), abs=1e-6)
            assert part.frequency == pytest.approx(np.mean([one for _, one in inside]))
            assert part.low - 1e-6 <= part.confidence <= part.high + 1e-6
            error += len(inside) / len(predicted) * abs(part.confidence - part.frequency)
        else:
            assert np.isnan([part.confidence, part.frequency]).all()
    assert found.error == pytest.approx(error, abs=1e-6)


def test_errors_by_hand_and_pooled() -> None:
    predicted = np.array([0.001, 0.3, 0.3, 0.3, 0.3, 0.95], np.float32)
    ones = np.array([0, 1, 0, 0, 1, 1], bool)
    found = calibration_of(counted(predicted[:3], ones[:3]) + counted(predicted[3:], ones[3:]))
    assert found.error == pytest.approx((0.001 + 4 * 0.2 + 0.05) / 6, abs=1e-6)
    assert found.likely_error == pytest.approx((4 * 0.2 + 0.05) / 5, abs=1e-6)


def test_no_cells_have_no_error() -> None:
    empty = calibration_of(np.zeros((3, BINS + 1)))
    assert np.isnan([empty.error, empty.likely_error]).all()
