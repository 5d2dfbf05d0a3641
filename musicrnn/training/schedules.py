"""Learning rates and early stopping, as functions of the validation NLLs seen so far.

They keep no state of their own, so a resumed training goes on exactly as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Sequence

from musicrnn.training.recipe import Recipe


def learning_rate(recipe: Recipe, history: Sequence[float]) -> float:
    """Return the learning rate of the next epoch.

    Args:
        recipe: Its ``schedule``, ``learning_rate`` and ``patience`` decide.
        history: Validation NLL of every epoch so far.
    """
    if recipe.schedule == "constant":
        return recipe.initial_rate
    rate, best, stale, wait = recipe.initial_rate, float("inf"), 0, max(1, recipe.patience // 3)
    for nll in history:
        best, stale = (nll, 0) if nll < best else (best, stale + 1)
        if stale == wait:
            rate, stale = rate / 2, 0
    return rate


def best_epoch(history: Sequence[float]) -> int:
    """Return the index of the first lowest validation NLL, or -1 if there is none."""
    return min(range(len(history)), key=history.__getitem__, default=-1)


def is_over(recipe: Recipe, history: Sequence[float]) -> bool:
    """Return whether training has run its epochs, or out of patience."""
    return len(history) >= recipe.epochs or len(history) - 1 - best_epoch(history) >= recipe.patience
