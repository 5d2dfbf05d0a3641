from __future__ import annotations

import numpy as np
import pytest

from musicrnn.evaluation.bootstrap import bootstrap_interval

RNG = np.random.default_rng(3)
FRAMES = RNG.integers(20, 200, 120)
NATS = FRAMES * RNG.normal(8, 1, 120)


def test_the_interval_is_that_of_a_plain_loop() -> None:
    found = bootstrap_interval(NATS, FRAMES)
    rng, values = np.random.default_rng(99), []
    for _ in range(4000):
        sampled = rng.integers(0, 120, 120)
        values.append(NATS[sampled].sum() / FRAMES[sampled].sum())
    assert found is not None and (found.level, found.resamples) == (0.95, 10_000)
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_the_interval_is_reproducible_and_surrounds_the_mean() -> None:
    one, two = (bootstrap_interval(NATS, FRAMES) for _ in "ab")
    assert one == two and one is not None
    assert one.low < NATS.sum() / FRAMES.sum() < one.high


def test_identical_pieces_have_an_interval_of_zero_width() -> None:
    found = bootstrap_interval(np.array([30.0, 60.0]), np.array([10, 20]))
    assert found is not None and found.low == found.high == 3


def test_a_single_piece_has_no_interval() -> None:
    assert bootstrap_interval(np.array([30.0]), np.array([10])) is None
    assert bootstrap_interval(np.array([30.0, 0.0]), np.array([10, 0])) is None, "one has no frames"


def test_many_pieces_are_resampled_less_often() -> None:
    found = bootstrap_interval(np.ones(11_000), np.ones(11_000, int))
    assert found is not None and (found.resamples, found.low, found.high) == (1000, 1, 1)
