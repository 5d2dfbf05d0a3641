"""Score <-> PianoRoll: what a row and a column mean, and how notes fall on the grid.

A roll is a binary array (T, D), time first. With the channels ``frame`` its columns are the pitches
of the range, low to high, and a one says that the pitch sounds. With ``frame+onset`` as many columns
again follow, in which a one says that a note of that pitch starts here, so repeated notes stay apart.

Frames are beat-synchronous: frame i covers the i-th fraction of a quarter note whatever the tempo. A
note starts and ends at the nearest frame and lasts at least one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.music.midi import NOTE, Metre, Score, Tempo, Track

CHANNELS = ("frame", "frame+onset")
MAX_FRAMES = 2**18
"""Longest roll that is made of a score: 65,536 quarter notes at 4 frames each, nine hours at 120."""


@dataclass(frozen=True)
class Layout:
    """What the rows and columns of a roll mean.

    Attributes:
        resolution: Frames per quarter note.
        low: Lowest MIDI pitch.
        high: Highest MIDI pitch, inclusive.
        channels: ``frame`` or ``frame+onset``.
    """

    resolution: int = 4
    low: int = 21
    high: int = 108
    channels: str = "frame+onset"

    def __post_init__(self) -> None:
        if not 1 <= self.resolution <= 96:
            raise RollError(f"resolution must be 1 to 96 frames per quarter note, got {self.resolution}")
        if not 0 <= self.low <= self.high <= 127:
            raise RollError(f"pitches must be LOW:HIGH within 0:127, got {self.low}:{self.high}")
        if self.channels not in CHANNELS:
            raise RollError(f"channels must be one of {', '.join(CHANNELS)}, got {self.channels!r}")

    @property
    def pitches(self) -> int:
        """Number of pitches in the range."""
        return self.high - self.low + 1

    @property
    def width(self) -> int:
        """Columns of a roll, D."""
        return self.pitches * len(self.channels.split("+"))

    @property
    def has_onsets(self) -> bool:
        """Whether the roll says where notes start."""
        return self.channels == "frame+onset"

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as JSON values, with the width that follows from it."""
        return {
            "width": self.width,
            "channels": self.channels,
            "pitches": [self.low, self.high],
            "resolution": self.resolution,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Layout:
        """Read what ``to_dict`` wrote; a senseless value raises KeyError, TypeError or RollError."""
        low, high = document["pitches"]
        return cls(int(document["resolution"]), int(low), int(high), str(document["channels"]))

    def __str__(self) -> str:
        return (
            f"D={self.width} ({self.channels}, pitches {self.low}:{self.high}, {self.resolution} per quarter)"
        )


@dataclass(frozen=True, eq=False)
class PianoRoll:
    """A binary piano roll.

    With onset channels a roll is kept canonical, so that it says the same as a set of notes: a drawn
    onset whose frame bit is off counts as sounding, and a pitch that begins to sound has its onset.

    Attributes:
        frames: Binary array, uint8, shape (T, D).
        layout: What rows and columns mean.

    Raises:
        RollError: The array isn't binary, has no frame, or its width isn't the layout's.
    """

    frames: NDArray[np.uint8]
    layout: Layout

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames)
        if frames.ndim != 2 or len(frames) == 0 or frames.shape[1] != self.layout.width:
            raise RollError(f"a roll must have shape (T, {self.layout.width}) and T >= 1, got {frames.shape}")
        if frames.size and (frames.min() < 0 or frames.max() > 1):
            raise RollError(f"a roll must hold zeros and ones, got values {frames.min()} to {frames.max()}")
        frames = frames.astype(np.uint8)
        if self.layout.has_onsets:
            sounding, onsets = frames[:, : self.layout.pitches], frames[:, self.layout.pitches :]
            sounding |= onsets
            onsets[0] = sounding[0]
            onsets[1:] |= sounding[1:] & (1 - sounding[:-1])
        object.__setattr__(self, "frames", frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PianoRoll):
            return NotImplemented
        return self.layout == other.layout and np.array_equal(self.frames, other.frames)

    __hash__ = None  # type: ignore[assignment]

    @property
    def sounding(self) -> NDArray[np.uint8]:
        """Which pitches sound, shape (T, P)."""
        return self.frames[:, : self.layout.pitches]

    @property
    def onsets(self) -> NDArray[np.uint8]:
        """Where notes start, shape (T, P); without onset channels, where a pitch begins to sound."""
        if self.layout.has_onsets:
            return self.frames[:, self.layout.pitches :]
        before = np.vstack([np.zeros_like(self.frames[:1]), self.frames[:-1]])
        return self.frames & (1 - before)

    def followed_by(self, other: PianoRoll) -> PianoRoll:
        """Return this roll with another of the same layout behind it."""
        if self.layout != other.layout:
            raise RollError(f"expected a roll of the layout {self.layout}, got {other.layout}")
        return PianoRoll(np.concatenate([self.frames, other.frames]), self.layout)

    @property
    def quarters(self) -> float:
        """Length in quarter notes."""
        return len(self) / self.layout.resolution

    def notes(self) -> NDArray[Any]:
        """Return the notes, dtype ``NOTE``, sorted by start and pitch; their ticks are frames."""
        starts, ends = _runs(self.sounding, self.onsets)
        notes = np.empty(len(starts), NOTE)
        notes["start"], notes["end"] = starts[:, 1], ends
        notes["pitch"], notes["velocity"] = starts[:, 0] + self.layout.low, 80
        return notes[np.lexsort((notes["pitch"], notes["start"]))]


def to_pianoroll(
    score: Score,
    resolution: int = 4,
    pitches: tuple[int, int] = (21, 108),
    channels: str = "frame+onset",
) -> PianoRoll:
    """Put the notes of a score on the grid. Drums and notes outside the pitch range are left out.

    Args:
        score: The piece.
        resolution: Frames per quarter note.
        pitches: Lowest and highest MIDI pitch, inclusive.
        channels: ``frame`` or ``frame+onset``.

    Returns:
        The roll, as long as the score.

    Raises:
        RollError: The score has no notes in the range and no length, or is longer than ``MAX_FRAMES``.
    """
    layout = Layout(resolution, *pitches, channels)
    notes = score.pitched()
    start, end = (quantize(notes[edge], score.ticks_per_quarter, resolution) for edge in ("start", "end"))
    end = np.maximum(end, start + 1)
    length = max(
        int(quantize(np.int64(score.end), score.ticks_per_quarter, resolution)), int(end.max(initial=0))
    )
    if length == 0:
        raise RollError("expected at least one note or a length, found an empty score")
    if length > MAX_FRAMES:
        raise RollError(f"expected at most {MAX_FRAMES} frames, found a score of {length}")
    inside = (notes["pitch"] >= layout.low) & (notes["pitch"] <= layout.high)
    column = notes["pitch"][inside].astype(np.int64) - layout.low
    start, end = start[inside], end[inside]
    change = np.zeros((length + 1, layout.pitches), np.int32)
    np.add.at(change, (start, column), 1)
    np.add.at(change, (end, column), -1)
    frames = np.zeros((length, layout.width), np.uint8)
    frames[:, : layout.pitches] = np.cumsum(change[:-1], axis=0) > 0
    if layout.has_onsets:
        frames[start, layout.pitches + column] = 1
    return PianoRoll(frames, layout)


def to_score(
    roll: PianoRoll,
    tempo: float = 120.0,
    metre: tuple[int, int] = (4, 4),
    program: int = 0,
) -> Score:
    """Turn a roll back into notes, on one track. ``to_pianoroll`` of the result is the same roll.

    Args:
        roll: The roll.
        tempo: Quarter notes per minute.
        metre: Time signature.
        program: General MIDI program, 0-127.

    Returns:
        The score; its ticks are a whole number per frame.

    Raises:
        RollError: Tempo, metre or program can't be written to a MIDI file.
    """
    if not 4 <= tempo <= 1000:
        raise RollError(f"tempo must be 4 to 1000 quarter notes per minute, got {tempo}")
    numerator, denominator = metre
    if not 1 <= numerator <= 255 or denominator not in (1, 2, 4, 8, 16, 32, 64, 128):
        raise RollError(
            f"metre must be 1 to 255 over a power of two up to 128, got {numerator}/{denominator}"
        )
    if not 0 <= program <= 127:
        raise RollError(f"program must be 0 to 127, got {program}")
    ticks_per_frame = -(-480 // roll.layout.resolution)
    notes = roll.notes()
    notes["start"] *= ticks_per_frame
    notes["end"] *= ticks_per_frame
    return Score(
        ticks_per_quarter=ticks_per_frame * roll.layout.resolution,
        tracks=(Track(notes, program, name="musicrnn"),),
        tempos=(Tempo(0, tempo),),
        metres=(Metre(0, *metre),),
        end=len(roll) * ticks_per_frame,
    )


def quantize(ticks: Any, ticks_per_quarter: int, resolution: int) -> Any:
    """Return the frame nearest to each tick; a tick halfway between two frames goes to the later one."""
    return (2 * ticks * resolution + ticks_per_quarter) // (2 * ticks_per_quarter)


def _runs(sounding: NDArray[np.uint8], onsets: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (pitch index, first frame) of each note, shape (N, 2), and the frame after its last, (N,)."""
    pitches, length = sounding.shape[1], sounding.shape[0] + 1
    boundary = np.ones((pitches, length), bool)
    boundary[:, :-1] = ((sounding == 0) | (onsets == 1)).T
    positions = np.flatnonzero(boundary)
    starts = np.argwhere(onsets.T)
    after = np.searchsorted(positions, starts[:, 0] * length + starts[:, 1], side="right")
    return starts, positions[after] % length
