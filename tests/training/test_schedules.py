from __future__ import annotations

from musicrnn.training import Recipe
from musicrnn.training.schedules import best_epoch, is_over, learning_rate


def test_plateau_halves_the_rate_after_a_third_of_the_patience() -> None:
    recipe = Recipe(learning_rate=0.8, patience=6)
    rates = [
        learning_rate(recipe, history)
        for history in ([], [5], [5, 4, 4], [5, 4, 4, 4], [5, 4, 4, 4, 3, 3, 3])
    ]
    assert rates == [0.8, 0.8, 0.8, 0.4, 0.2]
    assert learning_rate(Recipe(learning_rate=0.8, schedule="constant"), [1.0] * 50) == 0.8


def test_training_is_over_after_its_epochs_or_its_patience() -> None:
    recipe = Recipe(epochs=5, patience=2)
    assert [is_over(recipe, h) for h in ([], [3], [3, 4], [3, 4, 4], [3, 4, 2, 3], [5, 4, 3, 2, 1])] == [
        False, False, False, True, False, True,
    ]  # fmt: skip


def test_the_first_of_equal_epochs_is_the_best() -> None:
    assert (best_epoch([]), best_epoch([3, 2, 2])) == (-1, 1)
