"""Parts of a score: which tracks are taken, and what the sustain pedal does to their notes."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.music.score import Score, Track


def select_parts(
    score: Score, tracks: Sequence[str] = (), programs: Collection[int] = (), only: int | None = None
) -> Score:
    """Return the score with some of its tracks only.

    Args:
        score: The piece.
        tracks: Numbers of tracks with notes, counted from 1 as ``musicrnn show`` counts them, or patterns
            of names (``*`` and ``?``, any case); none means all.
        programs: General MIDI programs, 0-127; none means all.
        only: Number of the only track that may stay, or None.
    """
    if not tracks and not programs and only is None:
        return score
    taken = [
        track
        for number, track in enumerate(score.tracks, 1)
        if only in (None, number)
        and (not tracks or any(_names(wanted, number, track) for wanted in tracks))
        and (not programs or track.program in programs)
    ]
    return replace(score, tracks=tuple(taken))


def sustain(score: Score) -> Score:
    """Return the score with notes as long as the sustain pedal lets them sound.

    A note that ends while the pedal of its track is down sounds until the pedal comes up, or its key is
    struck again.
    """
    return replace(score, tracks=tuple(_sustained(track) for track in score.tracks))


def _names(wanted: str, number: int, track: Track) -> bool:
    if wanted.isdecimal():
        return int(wanted) == number
    return fnmatch.fnmatchcase(track.name.lower(), wanted.lower())


def _sustained(track: Track) -> Track:
    if track.is_drum or not len(track.pedals):
        return track
    notes, down = track.notes.copy(), track.pedals[np.argsort(track.pedals[:, 0])]
    pressed = np.searchsorted(down[:, 0], notes["end"], side="right") - 1
    released = np.where(pressed >= 0, np.maximum.accumulate(down[:, 1])[pressed], 0)
    end = np.maximum(notes["end"], released)
    notes["end"] = np.maximum(notes["end"], np.minimum(end, _next_strike(notes)))
    return replace(track, notes=notes)


def _next_strike(notes: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each note the tick at which its key is struck next, or the end of time."""
    order = np.lexsort((notes["start"], notes["pitch"]))
    start, pitch = notes["start"][order], notes["pitch"][order]
    following = np.full(len(notes), np.iinfo(np.int64).max)
    again = np.flatnonzero(pitch[1:] == pitch[:-1])
    following[order[again]] = start[again + 1]
    return following
