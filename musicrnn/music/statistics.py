"""What musicologists count: numbers that tell music from noise, a drone or silence.

They are taken from piano rolls, so a real piece and a generated one are counted alike; ``to_pianoroll``
makes a roll of a score. Over many rolls they are pooled in one pass: rates and means are weighted by what
they are rates of, extremes are the extremes of all. Scale consistency and pitch-class entropy belong to a
piece, because pieces are in different keys; pooled, they are means over pieces, weighted by notes.

References:
    Mogren 2016, arXiv:1611.09904, section 4.1: polyphony, scale consistency, repetition, tone span.
    Yang and Lerch 2018, Neural Computing and Applications 32: pitch range, pitch count, note lengths.
    Dong et al. 2020, MusPy, arXiv:2008.01951, section 6: polyphony, entropy, empty beats.
    Wu and Yang 2020, Jazz Transformer, arXiv:2008.01307, section 4: pitch-class entropy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import Layout, PianoRoll

_MAJOR_SCALE = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1])
SCALES = np.array([np.roll(_MAJOR_SCALE, tonic) for tonic in range(12)])
"""Pitch classes of the 24 major and natural minor scales, shape (12, 12): A minor has those of C major."""


@dataclass(frozen=True)
class RollStatistics:
    """Statistics of one roll, or of many. What can't be told without a note is None.

    Attributes:
        pieces: Number of rolls.
        frames: Number of frames.
        quarters: Length in quarter notes.
        notes: Number of notes.
        density: Share of ones in the binary array, onset channel included.
        polyphony: Mean number of sounding pitches over the frames in which something sounds.
        empty_frame_rate: Share of frames in which nothing sounds.
        longest_silence: Longest stretch in which nothing sounds, in quarter notes.
        pitch_class_entropy: Entropy of the notes' pitch classes in bits, 0 to log2(12) = 3.585.
        scale_consistency: Largest share of the notes that lies within one major or natural minor scale.
        mean_note_length: Mean length of a note, in quarter notes.
        median_note_length: Median length of a note, in quarter notes.
        longest_note: Length of the longest note, in quarter notes.
        lowest_pitch: Lowest MIDI pitch that sounds.
        highest_pitch: Highest MIDI pitch that sounds.
        unique_pitches: Number of different pitches that sound.
        repeated_frame_rate: Share of frames, the first one left out, that sound the same pitches as the
            frame before, silence included.
        longest_unchanged: Longest stretch in which the same pitches sound without a change, in quarter
            notes; silence doesn't count. A drone shows here.
        onsets_per_quarter: Notes that start, per quarter note.
    """

    pieces: int
    frames: int
    quarters: float
    notes: int
    density: float
    polyphony: float | None
    empty_frame_rate: float
    longest_silence: float
    pitch_class_entropy: float | None
    scale_consistency: float | None
    mean_note_length: float | None
    median_note_length: float | None
    longest_note: float | None
    lowest_pitch: int | None
    highest_pitch: int | None
    unique_pitches: int
    repeated_frame_rate: float
    longest_unchanged: float
    onsets_per_quarter: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, as JSON values."""
        return asdict(self)


def roll_statistics(roll: PianoRoll) -> RollStatistics:
    """Return the statistics of one roll."""
    return pooled_statistics([roll])


def pooled_statistics(rolls: Iterable[PianoRoll]) -> RollStatistics:
    """Return the statistics of many rolls taken together, in one pass that keeps no roll.

    Args:
        rolls: Rolls of one layout.

    Returns:
        The statistics, pooled as the module says.

    Raises:
        RollError: There is no roll, or the rolls differ in layout.
    """
    counts: _Counts | None = None
    for roll in rolls:
        if counts is None:
            counts = _Counts(roll.layout)
        counts.add(roll)
    if counts is None:
        raise RollError("expected at least one piano roll to count, found none")
    return counts.statistics()


def pitch_class_entropy(counts: NDArray[Any]) -> float:
    """Return the entropy of a pitch-class histogram, shape (12,), with a positive sum, in bits."""
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(share * np.log2(share)).sum()))


def scale_consistency(counts: NDArray[Any]) -> float:
    """Return the largest share of a pitch-class histogram, shape (12,), that one of ``SCALES`` holds."""
    return float((SCALES @ counts).max() / counts.sum())


class _Counts:
    """Running sums over rolls. Lengths are in frames; memory grows with the longest note only."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.pieces = self.frames = self.ones = self.transitions = self.repeats = 0
        self.sounding_frames = self.sounding_cells = 0
        self.longest_silence = self.longest_unchanged = 0
        self.entropy = self.consistency = 0.0
        self.pitches = np.zeros(layout.pitches, np.int64)
        self.lengths = np.zeros(1, np.int64)

    def add(self, roll: PianoRoll) -> None:
        if roll.layout != self.layout:
            raise RollError(f"expected rolls of one layout, {self.layout}, found {roll.layout}")
        voices = roll.sounding.sum(axis=1, dtype=np.int64)
        same = (roll.sounding[1:] == roll.sounding[:-1]).all(axis=1)
        unchanged = _longest_run(same & (voices[1:] > 0)) + 1 if voices.any() else 0
        self.pieces += 1
        self.frames += len(roll)
        self.ones += int(np.count_nonzero(roll.frames))
        self.transitions += len(same)
        self.repeats += int(same.sum())
        self.sounding_frames += int(np.count_nonzero(voices))
        self.sounding_cells += int(voices.sum())
        self.longest_silence = max(self.longest_silence, _longest_run(voices == 0))
        self.longest_unchanged = max(self.longest_unchanged, unchanged)
        self._add_notes(roll.notes())

    def _add_notes(self, notes: NDArray[Any]) -> None:
        if not len(notes):
            return
        classes = np.bincount(notes["pitch"] % 12, minlength=12)
        self.entropy += len(notes) * pitch_class_entropy(classes)
        self.consistency += len(notes) * scale_consistency(classes)
        self.pitches += np.bincount(notes["pitch"] - self.layout.low, minlength=self.layout.pitches)
        lengths = np.bincount(notes["end"] - notes["start"], minlength=len(self.lengths))
        lengths[: len(self.lengths)] += self.lengths
        self.lengths = lengths

    def statistics(self) -> RollStatistics:
        per_quarter = self.layout.resolution
        notes, used = int(self.pitches.sum()), np.flatnonzero(self.pitches)
        return RollStatistics(
            pieces=self.pieces,
            frames=self.frames,
            quarters=self.frames / per_quarter,
            notes=notes,
            density=self.ones / (self.frames * self.layout.width),
            polyphony=self.sounding_cells / self.sounding_frames if notes else None,
            empty_frame_rate=1 - self.sounding_frames / self.frames,
            longest_silence=self.longest_silence / per_quarter,
            pitch_class_entropy=self.entropy / notes if notes else None,
            scale_consistency=self.consistency / notes if notes else None,
            mean_note_length=self.sounding_cells / notes / per_quarter if notes else None,
            median_note_length=_median(self.lengths) / per_quarter if notes else None,
            longest_note=(len(self.lengths) - 1) / per_quarter if notes else None,
            lowest_pitch=self.layout.low + int(used[0]) if notes else None,
            highest_pitch=self.layout.low + int(used[-1]) if notes else None,
            unique_pitches=len(used),
            repeated_frame_rate=self.repeats / max(1, self.transitions),
            longest_unchanged=self.longest_unchanged / per_quarter,
            onsets_per_quarter=notes * per_quarter / self.frames,
        )


def _longest_run(mask: NDArray[np.bool_]) -> int:
    """Return the length of the longest stretch of True in a mask, shape (N,)."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _median(counts: NDArray[np.int64]) -> float:
    """Return the median of values of which value i occurs ``counts[i]`` times."""
    total = int(counts.sum())
    middle = np.searchsorted(np.cumsum(counts), [(total - 1) // 2, total // 2], side="right")
    return float(middle.mean())
