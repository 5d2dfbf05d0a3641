"""Learning rates and early stopping, as functions of the progress of a training.

They have no state, so a resumed training continues exactly like an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from musicrnn.training.recipe import Recipe

FALLING = ("linear", "cosine")
"""Schedules whose rate falls until the last epoch."""


def learning_rate(recipe: Recipe, history: Sequence[float], part: float = 0.0, updates: int = 0) -> float:
    """Return the learning rate of the next update.

    Args:
        recipe: The recipe, with schedule, learning rates, patience and warm-up.
        history: Validation NLL of every epoch so far.
        part: Share of the current epoch that is done.
        updates: Updates so far.
    """
    warm, share = min(1.0, (updates + 1) / recipe.warmup) if recipe.warmup else 1.0, 1.0
    if recipe.schedule in FALLING:
        again = 0 < recipe.restart <= len(history)
        first, last = (recipe.restart, recipe.epochs) if again else (0, recipe.restart or recipe.epochs)
        done = min(1.0, (len(history) + part - first) / max(1, last - first))
        fallen = done if recipe.schedule == "linear" else (1 - math.cos(math.pi * done)) / 2
        share = (recipe.restart_rate if again else 1.0) * (1 - (1 - recipe.final_rate) * fallen)
    elif recipe.schedule == "plateau":  # halve whenever a third of the patience passed without improvement
        best, stale = math.inf, 0
        for nll in history:
            best, stale = (nll, 0) if nll < best else (best, stale + 1)
            if stale == max(1, recipe.patience // 3):
                share, stale = share / 2, 0
    return recipe.initial_rate * warm * share


def best_epoch(history: Sequence[float]) -> int:
    """Return the index of the first lowest validation NLL, or -1 if there is none."""
    return min(range(len(history)), key=history.__getitem__, default=-1)


def is_over(recipe: Recipe, history: Sequence[float]) -> bool:
    """Return whether the last epoch, the patience or the target NLL has been reached."""
    best = best_epoch(history)
    reached = recipe.until is not None and best >= 0 and history[best] <= recipe.until
    return reached or len(history) >= recipe.epochs or len(history) - 1 - best >= recipe.patience
