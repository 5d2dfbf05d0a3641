"""Training: the recipe, weight noise, schedules, the loop, and the run on disk."""

from musicrnn.training.loop import Trained, Watcher, train
from musicrnn.training.recipe import Recipe, read_settings
from musicrnn.training.run import STATE, Epoch

__all__ = ["STATE", "Epoch", "Recipe", "Trained", "Watcher", "read_settings", "train"]
