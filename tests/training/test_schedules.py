from __future__ import annotations

import math

import pytest

from musicrnn.training import Recipe
from musicrnn.training.schedules import best_epoch, is_over, learning_rate


def test_plateau_halves_the_rate_after_a_third_of_the_patience() -> None:
    recipe = Recipe.of(learning_rate=0.8, patience=6)
    rates = [
        learning_rate(recipe, history)
        for history in ([], [5], [5, 4, 4], [5, 4, 4, 4], [5, 4, 4, 4, 3, 3, 3])
    ]
    assert rates == [0.8, 0.8, 0.8, 0.4, 0.2]
    assert learning_rate(Recipe.of(learning_rate=0.8, schedule="constant"), [1.0] * 50) == 0.8


def test_linear_falls_evenly_to_its_last_rate_at_the_end_of_the_epochs() -> None:
    recipe = Recipe.of(learning_rate=0.8, schedule="linear", final_rate=0.01, epochs=10)
    rates = [learning_rate(recipe, [1.0] * done, part) for done, part in ((0, 0.0), (2, 0.5), (9, 1.0))]
    assert rates == pytest.approx([0.8, 0.8 * (1 - 0.99 / 4), 0.008])


def test_cosine_is_half_a_wave_from_the_first_rate_to_the_last() -> None:
    recipe = Recipe.of(learning_rate=0.8, schedule="cosine", final_rate=0.5, epochs=4)
    rates = [learning_rate(recipe, [1.0] * done) for done in range(5)]
    assert rates == pytest.approx([0.8 * (0.75 + 0.25 * math.cos(math.pi * n / 4)) for n in range(5)])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_falling_rate_can_restart(schedule: str) -> None:
    first, second = (Recipe.of(learning_rate=0.8, schedule=schedule, epochs=epochs) for epochs in (4, 6))
    both = Recipe.of(learning_rate=0.8, schedule=schedule, epochs=10, restart=4, restart_rate=0.25)
    rates = [learning_rate(both, [1.0] * done) for done in range(10)]
    expected = [learning_rate(first, [1.0] * done) for done in range(4)]
    expected += [learning_rate(second, [1.0] * done) / 4 for done in range(6)]
    assert rates == pytest.approx(expected)
    assert learning_rate(both, [1.0] * 3, 1.0) == pytest.approx(0.008)
    assert learning_rate(both, [1.0] * 9, 1.0) == pytest.approx(0.002)


def test_the_rate_rises_over_the_first_updates() -> None:
    recipe = Recipe.of(learning_rate=0.8, schedule="constant", warmup=4)
    rates = [learning_rate(recipe, [], 0.0, updates) for updates in range(6)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_training_is_over_after_its_epochs_or_its_patience_or_at_its_aim() -> None:
    recipe = Recipe.of(epochs=5, patience=2)
    assert [is_over(recipe, h) for h in ([], [3], [3, 4], [3, 4, 4], [3, 4, 2, 3], [5, 4, 3, 2, 1])] == [
        False, False, False, True, False, True,
    ]  # fmt: skip
    assert [is_over(Recipe.of(until=2.5), h) for h in ([], [3], [3, 2.6], [3, 2.5])] == [
        False,
        False,
        False,
        True,
    ]


def test_the_first_of_equal_epochs_is_the_best() -> None:
    assert (best_epoch([]), best_epoch([3, 2, 2])) == (-1, 1)
