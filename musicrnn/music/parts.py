"""Parts of a score: selecting tracks, and applying the sustain pedal to their notes."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from musicrnn.music.score import Score, Track


def select_parts(
    score: Score, tracks: Sequence[str] = (), programs: Collection[int] = (), only: int | None = None
) -> Score:
    """Return the score with only some of its tracks.

    Args:
        score: The piece.
        tracks: Numbers of tracks with notes, counted from 1 as ``musicrnn show`` counts them, or patterns
            of names (``*`` and ``?``, any case); empty means all.
        programs: General MIDI programs, 0-127; empty means all.
        only: If given, the number of the only track to keep.
    """
    if not tracks and not programs and only is None:
        return score
    taken = [
        track
        for number, track in enumerate(score.tracks, 1)
        if only in (None, number)
        and (not tracks or any(_matches(wanted, number, track) for wanted in tracks))
        and (not programs or track.program in programs)
    ]
    return replace(score, tracks=tuple(taken))


def sustain(score: Score) -> Score:
    """Return the score with notes lengthened by the sustain pedal.

    A note that ends while the pedal of its track is down lasts until the pedal is released, or until the next
    note of its pitch.
    """
    return replace(score, tracks=tuple(map(_sustained, score.tracks)))


def _matches(wanted: str, number: int, track: Track) -> bool:
    if wanted.isdecimal():
        return int(wanted) == number
    return fnmatch.fnmatchcase(track.name.lower(), wanted.lower())


def _sustained(track: Track) -> Track:
    if track.is_drum or not len(track.pedals):
        return track
    notes, down = track.notes.copy(), track.pedals[np.argsort(track.pedals[:, 0])]
    pressed = np.searchsorted(down[:, 0], notes["end"], side="right") - 1
    released = np.where(pressed >= 0, np.maximum.accumulate(down[:, 1])[pressed], 0)
    order = np.lexsort((notes["start"], notes["pitch"]))
    again = np.flatnonzero(np.diff(notes["pitch"][order]) == 0)
    released[order[again]] = np.minimum(released[order[again]], notes["start"][order[again + 1]])
    notes["end"] = np.maximum(notes["end"], released)
    return replace(track, notes=notes)
