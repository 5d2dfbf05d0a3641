"""What tests of corpora share: a piece in another key."""

from __future__ import annotations

from dataclasses import replace

from musicrnn.music import Score


def transposed(score: Score, semitones: int) -> Score:
    tracks = []
    for track in score.tracks:
        notes = track.notes.copy()
        notes["pitch"] = notes["pitch"].astype(int) + semitones
        tracks.append(replace(track, notes=notes))
    return replace(score, tracks=tuple(tracks))
