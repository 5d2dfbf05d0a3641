"""Score: a piece as notes in ticks, with tempo, metre and key, as in MIDI files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NOTE = np.dtype(
    [("start", np.int64), ("end", np.int64), ("pitch", np.uint8), ("velocity", np.uint8)], align=True
)
"""One note: first tick, tick after the last, MIDI pitch 0-127, velocity 1-127."""

DEFAULT_TEMPO = 120.0
"""Quarter notes per minute of a MIDI file without a tempo."""

_LETTERS = "FCGDAEB"  # a fifth apart, with flats before them and sharps after


class Tempo(NamedTuple):
    """``quarters`` quarter notes per minute from ``tick`` on."""

    tick: int
    quarters: float


class Metre(NamedTuple):
    """A time signature, ``numerator``/``denominator``, from ``tick`` on."""

    tick: int
    numerator: int
    denominator: int


class Key(NamedTuple):
    """A key signature from ``tick`` on: ``sharps`` is negative for flats."""

    tick: int
    sharps: int
    minor: bool


@dataclass(frozen=True, eq=False)
class Track:
    """The notes of one part.

    Attributes:
        notes: Array of dtype ``NOTE``, shape (N,), sorted by start and pitch.
        program: General MIDI program, 0-127.
        is_drum: True for the percussion channel.
        name: The track's name, or the empty string.
        pedals: Ticks at which the sustain pedal goes down and up, int64, shape (K, 2).
    """

    notes: NDArray[Any]
    program: int = 0
    is_drum: bool = False
    name: str = ""
    pedals: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))


@dataclass(frozen=True, eq=False)
class Score:
    """A piece as notes in ticks.

    Attributes:
        ticks_per_quarter: Ticks in a quarter note.
        tracks: The parts.
        tempos: Tempo changes in order of time; empty means 120 quarters per minute.
        metres: Time signatures in order of time; empty means 4/4.
        keys: Key signatures in order of time; may be empty.
        end: Tick at which the music ends, silence included.
        title: Name of the piece, or the empty string.
        reader: Library that read it, or the empty string.
        hanging: Notes without an end in the file, which the reader ended.
    """

    ticks_per_quarter: int
    tracks: tuple[Track, ...]
    tempos: tuple[Tempo, ...] = ()
    metres: tuple[Metre, ...] = ()
    keys: tuple[Key, ...] = ()
    end: int = 0
    title: str = ""
    reader: str = ""
    hanging: int = 0

    def __post_init__(self) -> None:
        last = max((int(track.notes["end"].max()) for track in self.tracks if len(track.notes)), default=0)
        object.__setattr__(self, "end", max(self.end, last))

    @property
    def note_count(self) -> int:
        """Number of notes in all tracks, drums included."""
        return sum(len(track.notes) for track in self.tracks)

    @property
    def quarters(self) -> float:
        """Length in quarter notes."""
        return self.end / self.ticks_per_quarter

    def main_tempo(self) -> float | None:
        """Return the tempo that holds longest, in quarter notes per minute, or None if the file has none."""
        tempo = _longest_held(self.tempos, self.end)
        return round(float(tempo[0]), 3) if tempo else None

    def main_metre(self) -> tuple[int, int] | None:
        """Return the time signature that holds longest, or None if the file has none."""
        metre: tuple[int, int] | None = _longest_held(self.metres, self.end)
        return metre

    def seconds(self, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the time of each tick in seconds from the beginning, at the tempos of the score."""
        changes = np.array([tempo.tick for tempo in self.tempos], np.int64)
        quarters = np.array([60 / tempo.quarters for tempo in self.tempos])
        if not len(changes) or changes[0] > 0:
            changes, quarters = np.append(0, changes), np.append(60 / DEFAULT_TEMPO, quarters)
        lengths = quarters / self.ticks_per_quarter
        passed = np.append(0.0, np.cumsum(np.diff(changes) * lengths[:-1]))
        index = np.searchsorted(changes, ticks, side="right") - 1
        return np.asarray(passed[index] + (ticks - changes[index]) * lengths[index])

    def pitched(self) -> NDArray[Any]:
        """Return the notes of all tracks but drums as one array of dtype ``NOTE``."""
        parts = [track.notes for track in self.tracks if not track.is_drum]
        if len(parts) < 2:
            return parts[0].copy() if parts else np.zeros(0, NOTE)
        whole = np.dtype((np.void, NOTE.itemsize))  # numpy joins opaque items ten times as fast as records
        return np.concatenate([part.view(whole) for part in parts]).view(NOTE)


def _longest_held(changes: Sequence[tuple[Any, ...]], end: int) -> Any:
    """Return what follows the tick in those of ``changes``, in order of time, that hold longest, or None."""
    if len(changes) < 2:
        return changes[0][1:] if changes else None
    held: Counter[tuple[Any, ...]] = Counter()
    ticks = [change[0] for change in changes[1:]] + [max(end, changes[-1][0])]
    for (tick, *value), until in zip(changes, ticks, strict=True):
        held[tuple(value)] += until - tick
    return max(held, key=lambda value: held[value])


def key_name(sharps: int, minor: bool) -> str:
    """Return the name of a key signature as MIDI libraries write it: ``-3, True`` is ``Cm``."""
    accidental, letter = divmod(sharps + 8 + (3 if minor else 0), len(_LETTERS))
    return _LETTERS[letter] + ("b", "", "#")[accidental] + ("m" if minor else "")
