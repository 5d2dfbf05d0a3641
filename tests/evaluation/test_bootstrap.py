from __future__ import annotations

import numpy as np
import pytest

from musicrnn.evaluation import bootstrap_interval

RNG = np.random.default_rng(3)
FRAMES = RNG.integers(20, 200, 120)
NATS = FRAMES * RNG.normal(8, 1, 120)


def test_the_interval_is_that_of_a_plain_loop() -> None:
    found = bootstrap_interval(NATS, FRAMES, seed=5)
    rng, values = np.random.default_rng(99), []
    for _ in range(4000):
        drawn = rng.integers(0, 120, 120)
        values.append(NATS[drawn].sum() / FRAMES[drawn].sum())
    assert found is not None and (found.level, found.resamples) == (0.95, 10_000)
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_same_seed_same_interval_and_a_higher_level_is_wider() -> None:
    one, two = (bootstrap_interval(NATS, FRAMES) for _ in "ab")
    wide = bootstrap_interval(NATS, FRAMES, level=0.99)
    assert one == two and one is not None and wide is not None
    assert wide.low < one.low < NATS.sum() / FRAMES.sum() < one.high < wide.high


def test_pieces_that_are_alike_leave_no_doubt() -> None:
    found = bootstrap_interval(np.array([30.0, 60.0]), np.array([10, 20]))
    assert found is not None and found.low == found.high == 3


def test_one_piece_says_nothing_about_others() -> None:
    assert bootstrap_interval(np.array([30.0]), np.array([10])) is None
    assert bootstrap_interval(np.array([30.0, 0.0]), np.array([10, 0])) is None, "one has no frames"


def test_many_pieces_are_drawn_less_often() -> None:
    found = bootstrap_interval(np.ones(11_000), np.ones(11_000, int))
    assert found is not None and (found.resamples, found.low, found.high) == (1000, 1, 1)
