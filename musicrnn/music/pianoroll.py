"""Score <-> PianoRoll: the meaning of rows and columns, and quantisation.

A roll is a binary array (T, D), time first. With the channels ``frame`` its columns are the pitches of the
range, low to high; a one means that the pitch sounds. With ``frame+onset`` as many columns follow for onsets:
a one means that a note of that pitch starts, so repeated notes stay apart.

A frame is a fixed fraction of a quarter note at any tempo or, for performances without a beat, a fixed
number of seconds. Quantised ``nearest``, a note starts and ends at the nearest frame and lasts at least one;
quantised ``midpoint``, it sounds in the frames whose middle it covers, as in the benchmarks of
Boulanger-Lewandowski et al. 2012, and may vanish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.music.score import DEFAULT_TEMPO, NOTE, Metre, Score, Tempo, Track

CHANNELS = ("frame", "frame+onset")
QUANTIZATIONS = ("nearest", "midpoint")
MAX_FRAMES = 2**18
"""Longest roll made from a score: 65,536 quarter notes at 4 frames each, nine hours at 120."""


@dataclass(frozen=True)
class Layout:
    """The meaning of the rows and columns of a roll.

    Attributes:
        resolution: Frames per quarter note; with ``frame_seconds``, in MIDI files made from rolls.
        low: Lowest MIDI pitch.
        high: Highest MIDI pitch, inclusive.
        channels: ``frame`` or ``frame+onset``.
        frame_seconds: Length of a frame in seconds, or None if frames follow the beat.
    """

    resolution: int = 4
    low: int = 21
    high: int = 108
    channels: str = "frame+onset"
    frame_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.resolution <= 96:
            raise RollError(f"resolution must be 1 to 96 frames per quarter note, got {self.resolution}")
        if not 0 <= self.low <= self.high <= 127:
            raise RollError(f"pitches must be LOW:HIGH within 0:127, got {self.low}:{self.high}")
        if self.channels not in CHANNELS:
            raise RollError(f"channels must be one of {', '.join(CHANNELS)}, got {self.channels!r}")
        if self.frame_seconds is not None and not 0.001 <= self.frame_seconds <= 10:
            raise RollError(f"frames must last 0.001 to 10 seconds, got {self.frame_seconds}")

    @classmethod
    def in_seconds(
        cls, frame_seconds: float, low: int = 21, high: int = 108, channels: str = "frame+onset"
    ) -> Layout:
        """Return a layout of frames in seconds; MIDI files made from its rolls have a tempo of about 120."""
        frames = 0.5 / frame_seconds if frame_seconds > 0 else 0
        return cls(min(96, max(1, round(frames))), low, high, channels, frame_seconds)

    @property
    def tempo(self) -> float | None:
        """Quarter notes per minute that give frames in seconds their length, or None for frames of a beat."""
        return None if self.frame_seconds is None else 60 / (self.resolution * self.frame_seconds)

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
        """Whether there are columns for onsets."""
        return self.channels == "frame+onset"

    def to_dict(self) -> dict[str, Any]:
        """Return the layout and its width as JSON values."""
        grid: dict[str, Any] = {"resolution": self.resolution}
        if self.frame_seconds is not None:
            grid["frame_seconds"] = self.frame_seconds
        return {"width": self.width, "channels": self.channels, "pitches": [self.low, self.high], **grid}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Layout:
        """Read the result of ``to_dict``; an invalid value raises KeyError, TypeError or RollError."""
        low, high = document["pitches"]
        seconds = document.get("frame_seconds")
        facts = int(document["resolution"]), int(low), int(high), str(document["channels"])
        return cls(*facts, None if seconds is None else float(seconds))

    def __str__(self) -> str:
        seconds = self.frame_seconds
        grid = f"{self.resolution} per quarter" if seconds is None else f"{seconds:g} s each"
        return f"D={self.width} ({self.channels}, pitches {self.low}:{self.high}, {grid})"


@dataclass(frozen=True, eq=False)
class PianoRoll:
    """A binary piano roll.

    With onset channels a roll is made canonical, so that it represents a set of notes: a pitch sounds at its
    onset, and has an onset where it begins to sound.

    Attributes:
        frames: Binary array, uint8, shape (T, D).
        layout: The meaning of rows and columns.

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

    @classmethod
    def trusted(cls, frames: NDArray[np.uint8], layout: Layout) -> PianoRoll:
        """Return a roll of frames that are known to be binary, of the layout's width and canonical."""
        roll = object.__new__(cls)
        object.__setattr__(roll, "frames", frames)
        object.__setattr__(roll, "layout", layout)
        return roll

    @classmethod
    def from_notes(cls, notes: NDArray[Any], length: int, layout: Layout) -> PianoRoll:
        """Return the roll of these notes; the inverse of ``notes``.

        Args:
            notes: Notes of dtype ``NOTE`` whose ticks are frames below ``length``, each at least one long,
                in any order. Those outside the pitch range are left out; of notes with the same pitch and
                onset the longest is kept.
            length: Number of frames, T.
            layout: The meaning of rows and columns.

        Raises:
            RollError: ``length`` isn't 1 to ``MAX_FRAMES``.
        """
        if length < 1:
            raise RollError("expected at least one note or a length, found an empty score", "no-notes")
        if length > MAX_FRAMES:
            raise RollError(f"expected at most {MAX_FRAMES} frames, found a score of {length}", "too-long")
        column = notes["pitch"].astype(np.int64) - layout.low
        outside = (column < 0) | (column >= layout.pitches)
        if outside.any():
            notes, column = notes[~outside], column[~outside]
        start, spans = notes["start"], notes["end"] - notes["start"]
        row, cell = start, start * layout.width + column
        if spans.sum() > length * layout.pitches:  # many overlap: let each start where those before it ended
            order = np.argsort(column * length + start)
            begin, column, spans = (column * length + start)[order], column[order], spans[order]
            reached = np.maximum.accumulate(begin + spans)
            begin[1:] = np.maximum(begin[1:], reached[:-1])
            row, spans = begin - column * length, np.maximum(reached - begin, 0)
        cells = np.repeat((row - np.cumsum(spans) + spans) * layout.width + column, spans)
        cells += np.arange(0, len(cells) * layout.width, layout.width)
        frames = np.zeros(length * layout.width, np.uint8)
        frames[cells] = 1
        if layout.has_onsets:
            frames[cell + layout.pitches] = 1
        return cls.trusted(frames.reshape(length, layout.width), layout)

    def __len__(self) -> int:
        return len(self.frames)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PianoRoll):
            return NotImplemented
        return self.layout == other.layout and np.array_equal(self.frames, other.frames)

    @property
    def sounding(self) -> NDArray[np.uint8]:
        """Which pitches sound, shape (T, P)."""
        return self.frames[:, : self.layout.pitches]

    @property
    def onsets(self) -> NDArray[np.uint8]:
        """Where notes start, shape (T, P); without columns for onsets, where a pitch begins to sound."""
        if self.layout.has_onsets:
            return self.frames[:, self.layout.pitches :]
        before = np.vstack([np.zeros_like(self.frames[:1]), self.frames[:-1]])
        return self.frames & (1 - before)

    def followed_by(self, other: PianoRoll) -> PianoRoll:
        """Return this roll with another of the same layout appended."""
        if self.layout != other.layout:
            raise RollError(f"expected a roll of the layout {self.layout}, got {other.layout}")
        return PianoRoll(np.concatenate([self.frames, other.frames]), self.layout)

    @property
    def quarters(self) -> float:
        """Length in quarter notes."""
        return len(self) / self.layout.resolution

    def notes(self) -> NDArray[Any]:
        """Return the notes, dtype ``NOTE``, sorted by start and pitch; their ticks are frames."""
        onsets, length = self.onsets, len(self) + 1
        boundary = np.ones((self.layout.pitches, length), bool)  # a note before it ends with frame t - 1
        boundary[:, :-1] = ((self.sounding == 0) | (onsets == 1)).T
        positions = np.flatnonzero(boundary)
        pitch, start = np.nonzero(onsets.T)
        notes = np.empty(len(start), NOTE)
        notes["start"], notes["pitch"], notes["velocity"] = start, pitch + self.layout.low, 80
        notes["end"] = positions[np.searchsorted(positions, pitch * length + start, side="right")] % length
        return notes[np.lexsort((notes["pitch"], notes["start"]))]


def to_pianoroll(
    score: Score,
    resolution: int = 4,
    pitches: tuple[int, int] = (21, 108),
    channels: str = "frame+onset",
    frame_seconds: float | None = None,
    quantize: str = "nearest",
) -> PianoRoll:
    """Put the notes of a score on a grid; see ``rasterize``.

    Args:
        score: The piece.
        resolution: Frames per quarter note, unless ``frame_seconds`` is given.
        pitches: Lowest and highest MIDI pitch, inclusive.
        channels: ``frame`` or ``frame+onset``.
        frame_seconds: Length of a frame in seconds, for performances that follow no beat.
        quantize: ``nearest`` or ``midpoint``.
    """
    if frame_seconds is None:
        return rasterize(score, Layout(resolution, *pitches, channels), quantize)
    return rasterize(score, Layout.in_seconds(frame_seconds, *pitches, channels), quantize)


def rasterize(score: Score, layout: Layout, quantize: str = "nearest") -> PianoRoll:
    """Put the notes of a score on the grid of a layout. Drums and notes outside its pitch range are left out.

    Returns:
        The roll, as long as the score.

    Raises:
        RollError: The score has neither notes nor a length, or is longer than ``MAX_FRAMES``.
    """
    notes = on_grid(score, layout, quantize)
    end = int(to_frames(score, np.array([score.end]), layout, quantize)[0])
    return PianoRoll.from_notes(notes, max(end, int(notes["end"].max(initial=0))), layout)


def on_grid(score: Score, layout: Layout, quantize: str = "nearest") -> NDArray[Any]:
    """Return the notes of a score, drums left out, with frames for ticks.

    Args:
        score: The piece.
        layout: The grid; notes outside its pitch range stay.
        quantize: ``nearest`` or ``midpoint``; RollError is raised for any other.

    Returns:
        The notes, dtype ``NOTE``, in any order.
    """
    notes = score.pitched()
    start = to_frames(score, notes["start"], layout, quantize)
    end = to_frames(score, notes["end"], layout, quantize)
    if quantize == "nearest":
        end = np.maximum(end, start + 1)
    notes["start"], notes["end"] = start, end
    return notes if quantize == "nearest" else notes[end > start]


def to_frames(score: Score, ticks: NDArray[np.int64], layout: Layout, quantize: str) -> NDArray[np.int64]:
    """Return the frame of each tick."""
    if quantize not in QUANTIZATIONS:
        raise RollError(f"quantization must be one of {', '.join(QUANTIZATIONS)}, got {quantize!r}")
    if layout.frame_seconds is None:
        nearest = quantize == "nearest"
        return np.asarray(quantized(ticks, score.ticks_per_quarter, layout.resolution, half_up=nearest))
    frames = (score.seconds(ticks) / layout.frame_seconds).round(9)
    rounded = np.floor(frames + 0.5) if quantize == "nearest" else np.ceil(frames - 0.5)
    return np.asarray(rounded, np.int64)


def to_score(
    roll: PianoRoll, tempo: float | None = None, metre: tuple[int, int] = (4, 4), program: int = 0
) -> Score:
    """Turn a roll back into notes, on one track. ``to_pianoroll`` of the result is the same roll.

    Args:
        roll: The roll.
        tempo: Quarter notes per minute; by default that of the layout, else 120.
        metre: Time signature.
        program: General MIDI program, 0-127.

    Returns:
        The score; its ticks are a whole number per frame.

    Raises:
        RollError: Tempo, metre or program is out of a MIDI file's range.
    """
    if tempo is None:
        tempo = roll.layout.tempo or DEFAULT_TEMPO
    if not 4 <= tempo <= 1000:
        raise RollError(f"tempo must be 4 to 1000 quarter notes per minute, got {tempo}")
    numerator, denominator = metre
    if not 1 <= numerator <= 255 or denominator not in (1, 2, 4, 8, 16, 32, 64, 128):
        found = f"{numerator}/{denominator}"
        raise RollError(f"metre must be 1 to 255 over a power of two up to 128, got {found}")
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


def quantized(ticks: Any, ticks_per_quarter: int, resolution: int, half_up: bool = True) -> Any:
    """Return the frame nearest to each tick, in exact arithmetic.

    A tick halfway between two frames goes to the later one or, without ``half_up``, to the earlier.
    """
    doubled, whole = 2 * ticks * resolution, 2 * ticks_per_quarter
    return (doubled + ticks_per_quarter) // whole if half_up else -((ticks_per_quarter - doubled) // whole)
