"""What ``show`` gives about a piece of music."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from musicrnn.cli import console
from musicrnn.corpus import Source
from musicrnn.errors import RollError, about
from musicrnn.music import PianoRoll, Score, Track, read_midi, to_pianoroll
from musicrnn.music.notation import SUFFIXES, read_notation
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
        score, roll = self.score, self.roll
        counts = RollCounts(roll.layout)
        counts.add(roll)
        return {
            "kind": self.kind,
            "file": str(self.path),
            "tracks": len(score.tracks),
            "track_list": [_describe(number, track) for number, track in enumerate(score.tracks, 1)],
            "tempo": score.main_tempo(),
            "metre": list(score.main_metre() or ()) or None,
            "key": _key(score),
            "key_signature": key_of_signature(score.keys[0]).name if score.keys else None,
            "resolution": roll.layout.resolution,
            "seconds": float(score.seconds(np.array([score.end]))[0]),
            "reader": score.reader,
            "hanging_notes": score.hanging,
            **counts.statistics().as_dict(),
            **counts.histograms(),
        }


def read_piece(path: Path, resolution: int) -> Piece:
    """Read a MIDI file (``-`` for stdin) or the first piece of a MusicXML or ABC file.

    Raises:
        MusicRNNError: The file can't be read, or holds nothing.
    """
    kind, name, score = _read(path)
    with about(name):
        return Piece(kind, path, score, to_pianoroll(score, resolution, (0, 127)))


def _read(path: Path) -> tuple[str, str, Score]:
    """Return the kind of a file, its name in messages, and the piece that it holds."""
    if str(path) == "-":
        return "midi", "stdin", read_midi(sys.stdin.buffer.read(), "stdin")
    if path.suffix.lower() not in SUFFIXES:
        return "midi", str(path), read_midi(path)
    tunes = Source(path.name, str(path)).tunes()
    first = next(tunes)
    if more := sum(1 for _ in tunes):
        console.note(f"{path}: the first of {more + 1} tunes")
    score = read_notation(first.read(), path.suffix.lower(), first.path)
    return "notation", first.path, replace(score, reader="music21")


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


def _key(score: Score) -> str | None:
    """Return the name of the key, or None where nothing sounds or no key is likelier than another."""
    try:
        return find_key(score).name
    except RollError:
        return None
