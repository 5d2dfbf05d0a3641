"""Music as symbols: MIDI files, scores, piano rolls, keys, statistics, pictures and sound. No torch."""

from musicrnn.music.midi import midi_bytes, read_midi, write_midi
from musicrnn.music.notation import read_score
from musicrnn.music.pianoroll import Layout, PianoRoll, rasterize, to_pianoroll, to_score
from musicrnn.music.score import Key, Metre, Score, Tempo, Track
from musicrnn.music.statistics import RollStatistics, pooled_statistics, roll_statistics
from musicrnn.music.tonality import TonalKey, find_key, transpose

__all__ = [
    "Key",
    "Layout",
    "Metre",
    "PianoRoll",
    "RollStatistics",
    "Score",
    "Tempo",
    "TonalKey",
    "Track",
    "find_key",
    "midi_bytes",
    "pooled_statistics",
    "rasterize",
    "read_midi",
    "read_score",
    "roll_statistics",
    "to_pianoroll",
    "to_score",
    "transpose",
    "write_midi",
]
