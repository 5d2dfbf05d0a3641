"""Training: the recipe, what is done to weights and gradients, the loop, and the run on disk.

All but the recipe is loaded on first use: the command line makes its flags of the recipe, and needs no torch
for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicrnn.lazy import lazy
from musicrnn.training.recipe import Recipe, check_settings, read_settings, read_shipped

if TYPE_CHECKING:
    from musicrnn.training.callbacks import Callback as Callback
    from musicrnn.training.distributed import World as World
    from musicrnn.training.distributed import joined as joined
    from musicrnn.training.loop import train as train
    from musicrnn.training.run import STATE as STATE
    from musicrnn.training.run import Trained as Trained

_HOMES = {
    "STATE": "musicrnn.training.run",
    "Trained": "musicrnn.training.run",
    "Callback": "musicrnn.training.callbacks",
    "World": "musicrnn.training.distributed",
    "joined": "musicrnn.training.distributed",
    "train": "musicrnn.training.loop",
}

__all__ = ["Recipe", "check_settings", "read_settings", "read_shipped", *_HOMES]

__getattr__ = lazy("musicrnn.training", _HOMES)
