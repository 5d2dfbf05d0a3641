"""Networks: settings, recurrent layers, attention, pitch recurrence, heads, the model.

All but the settings needs torch and is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicrnn.lazy import lazy
from musicrnn.nn.settings import NetworkSettings

if TYPE_CHECKING:
    from musicrnn.nn.heads import HEADS as HEADS
    from musicrnn.nn.model import MusicRNN as MusicRNN
    from musicrnn.nn.recurrent import Recurrent as Recurrent
    from musicrnn.nn.recurrent import RecurrentLayer as RecurrentLayer

_HOMES = {
    "HEADS": "musicrnn.nn.heads",
    "MusicRNN": "musicrnn.nn.model",
    "Recurrent": "musicrnn.nn.recurrent",
    "RecurrentLayer": "musicrnn.nn.recurrent",
}

__all__ = ["NetworkSettings", *_HOMES]

__getattr__ = lazy("musicrnn.nn", _HOMES)
