"""Music as symbols: files, scores, piano rolls, keys, statistics and sound. No torch."""

from musicrnn.music.midi import midi_bytes, read_midi, write_midi
from musicrnn.music.notation import read_score
from musicrnn.music.pianoroll import Layout, PianoRoll, rasterize, to_pianoroll, to_score
from musicrnn.music.score import Score, Track

__all__ = [
    "Layout",
    "PianoRoll",
    "Score",
    "Track",
    "midi_bytes",
    "rasterize",
    "read_midi",
    "read_score",
    "to_pianoroll",
    "to_score",
    "write_midi",
]
