from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from musicrnn.evaluation.calibration import BINS, LIKELY, Calibration, count_calibration

probabilities = arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32))


def counted(given: np.ndarray, ones: np.ndarray) -> Calibration:
    likely = given >= LIKELY
    rest = (~likely).sum(), given[~likely].sum(dtype=float), ones[~likely].sum()
    return count_calibration(given[likely], ones[likely], rest)


@settings(max_examples=40, deadline=None)
@given(probabilities, st.integers(0, 9))
def test_bins_and_errors_are_those_of_a_plain_loop(given: np.ndarray, seed: int) -> None:
    ones = np.random.default_rng(seed).random(len(given)) < 0.4
    found = counted(given, ones)
    cells: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for p, one in zip(given.tolist(), ones.tolist(), strict=True):
        cells[min(int(np.float32(p) * BINS), BINS - 1)].append((p, one))
    error = 0.0
    for part, inside in zip(found.bins, cells, strict=True):
        assert part.cells == len(inside)
        if inside:
            assert part.confidence == pytest.approx(np.mean([p for p, _ in inside]), abs=1e-6)
            assert part.frequency == pytest.approx(np.mean([one for _, one in inside]))
            assert part.low - 1e-6 <= part.confidence <= part.high + 1e-6
            error += len(inside) / len(given) * abs(part.confidence - part.frequency)
        else:
            assert np.isnan([part.confidence, part.frequency]).all()
    assert found.error == pytest.approx(error, abs=1e-6)


def test_errors_by_hand_and_pooled() -> None:
    given = np.array([0.001, 0.3, 0.3, 0.3, 0.3, 0.95], np.float32)
    ones = np.array([0, 1, 0, 0, 1, 1], bool)
    found = counted(given[:3], ones[:3]) + counted(given[3:], ones[3:])
    assert found.error == pytest.approx((0.001 + 4 * 0.2 + 0.05) / 6, abs=1e-6)
    assert found.likely_error == pytest.approx((4 * 0.2 + 0.05) / 5, abs=1e-6)


def test_nothing_has_no_error() -> None:
    assert np.isnan([Calibration().error, Calibration().likely_error]).all()
