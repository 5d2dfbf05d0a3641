"""MIDI file <-> Score. The only package that imports a MIDI library.

symusic, which is fast, reads; mido reads files that symusic refuses, and writes; pretty_midi synthesizes.
"""

from musicrnn.music.midi.reading import MAX_FILE_BYTES, read_file, read_midi
from musicrnn.music.midi.writing import midi_bytes, to_pretty_midi, write_midi

__all__ = ["MAX_FILE_BYTES", "midi_bytes", "read_file", "read_midi", "to_pretty_midi", "write_midi"]
