"""Training: recipes, optimizers, the loop, and runs on disk. Importing a recipe loads no torch."""

from musicrnn.training.recipe import Recipe, read_settings, read_shipped

__all__ = ["Recipe", "read_settings", "read_shipped"]
