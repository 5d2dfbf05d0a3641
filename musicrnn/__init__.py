"""Recurrent networks for polyphonic music: MIDI to piano rolls, training, likelihood, new MIDI.

Everything below is loaded on first use, so that ``import musicrnn`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicrnn.lazy import lazy

if TYPE_CHECKING:
    from musicrnn import nn as nn
    from musicrnn.checkpoint import load_model as load_model
    from musicrnn.corpus import open_corpus as open_corpus
    from musicrnn.music import Layout as Layout
    from musicrnn.music import PianoRoll as PianoRoll
    from musicrnn.music import Score as Score
    from musicrnn.music import read_midi as read_midi
    from musicrnn.music import to_pianoroll as to_pianoroll
    from musicrnn.music import to_score as to_score
    from musicrnn.music import write_midi as write_midi
    from musicrnn.sampling import generate as generate

__version__ = "0.1.0"

_HOMES = {
    "nn": "musicrnn.nn",
    "Layout": "musicrnn.music",
    "PianoRoll": "musicrnn.music",
    "Score": "musicrnn.music",
    "generate": "musicrnn.sampling",
    "load_model": "musicrnn.checkpoint",
    "open_corpus": "musicrnn.corpus",
    "read_midi": "musicrnn.music",
    "to_pianoroll": "musicrnn.music",
    "to_score": "musicrnn.music",
    "write_midi": "musicrnn.music",
}

__all__ = ["__version__", *_HOMES]


__getattr__ = lazy("musicrnn", _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
