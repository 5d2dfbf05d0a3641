"""Training: recipes, optimizers, the loop, and runs on disk.

Everything but the recipe is loaded on first use: the command line derives its flags from the recipe, without
torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicrnn.lazy import lazy
from musicrnn.training.recipe import Recipe, read_settings, read_shipped

if TYPE_CHECKING:
    from musicrnn.training.callbacks import Callback as Callback
    from musicrnn.training.distributed import joined as joined
    from musicrnn.training.loop import train as train
    from musicrnn.training.run import STATE as STATE
    from musicrnn.training.run import Trained as Trained

_HOMES = {
    "STATE": "musicrnn.training.run",
    "Trained": "musicrnn.training.run",
    "Callback": "musicrnn.training.callbacks",
    "joined": "musicrnn.training.distributed",
    "train": "musicrnn.training.loop",
}

__all__ = ["Recipe", "read_settings", "read_shipped", *_HOMES]

__getattr__ = lazy("musicrnn.training", _HOMES)
