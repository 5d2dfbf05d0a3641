"""Music as symbols: MIDI files, scores, piano rolls, keys, statistics, pictures and sound. No torch."""

from musicrnn.music.midi import Key, Metre, Score, Tempo, Track, midi_bytes, read_midi, write_midi
from musicrnn.music.pianoroll import Layout, PianoRoll, to_pianoroll, to_score

__all__ = [
    "Key",
    "Layout",
    "Metre",
    "PianoRoll",
    "Score",
    "Tempo",
    "Track",
    "midi_bytes",
    "read_midi",
    "to_pianoroll",
    "to_score",
    "write_midi",
]
