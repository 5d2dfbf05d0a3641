"""What ``show`` gives about a piece of music."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musicrnn.cli import console
from musicrnn.cli.options import music_source
from musicrnn.errors import about
from musicrnn.music import PianoRoll, Score, Track, read_score, to_pianoroll
from musicrnn.music.midi import read_file
from musicrnn.music.notation import split_tunes, suffix_of
from musicrnn.music.statistics import RollCounts
from musicrnn.music.tonality import find_key, key_of_signature


@dataclass(frozen=True)
class Piece:
    """A piece of music from a file.

    Attributes:
        kind: ``midi`` or ``notation``.
        path: The file.
        score: Its notes.
        roll: Its piano roll, over all 128 pitches.
    """

    kind: str
    path: Path
    score: Score
    roll: PianoRoll

    def document(self) -> dict[str, Any]:
        """Return facts and statistics as JSON values."""
        score, roll, key = self.score, self.roll, find_key(self.score)
        counts = RollCounts(roll.layout, [roll])
        return {
            "kind": self.kind,
            "file": str(self.path),
            "tracks": len(score.tracks),
            "track_list": [_describe(number, track) for number, track in enumerate(score.tracks, 1)],
            "tempo": score.main_tempo(),
            "metre": list(score.main_metre() or ()) or None,
            "key": key.name if key else None,
            "key_signature": key_of_signature(score.keys[0]).name if score.keys else None,
            "resolution": roll.layout.resolution,
            "seconds": float(score.seconds(np.array([score.end]))[0]),
            "reader": score.reader,
            "hanging_notes": score.hanging,
            **asdict(counts.statistics()),
            **counts.histograms(),
        }


def read_piece(path: Path, resolution: int) -> Piece:
    """Read a MIDI file (``-`` for stdin) or the first piece of a MusicXML or ABC file.

    Raises:
        MusicRNNError: The file can't be read, or holds nothing.
    """
    source, name = music_source(path)
    if suffix_of(name) == ".abc" and (tunes := len(split_tunes(read_file(path)))) > 1:
        console.note(f"{path}: the first of {tunes} tunes")
    score = read_score(source, name)
    kind = "notation" if score.reader == "music21" else "midi"
    with about(name):
        return Piece(kind, path, score, to_pianoroll(score, resolution, (0, 127)))


def _describe(number: int, track: Track) -> dict[str, Any]:
    """Return facts about a track with notes, by the number that ``prepare --tracks`` takes."""
    return {
        "number": number,
        "name": track.name,
        "program": track.program,
        "drums": track.is_drum,
        "notes": len(track.notes),
        "lowest_pitch": int(track.notes["pitch"].min()),
        "highest_pitch": int(track.notes["pitch"].max()),
    }
