"""Statistics of piano rolls, by which generated music can be compared with real music.

Over many rolls they are pooled: rates and means are weighted by their denominators; extremes are overall.
Scale consistency and pitch-class entropy are means over pieces, weighted by notes, as pieces differ in key.

References:
    Mogren 2016, arXiv:1611.09904, section 4.1: polyphony, scale consistency, repetition, tone span.
    Yang and Lerch 2018, Neural Computing and Applications 32: pitch range, pitch count, note lengths.
    Dong et al. 2020, MusPy, arXiv:2008.01951, section 6: polyphony, entropy, empty beats.
    Wu and Yang 2020, Jazz Transformer, arXiv:2008.01307, section 4: pitch-class entropy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import Layout, PianoRoll
from musicrnn.music.tonality import PITCH_CLASSES, find_key

_MAJOR_SCALE = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1])
SCALES = np.array([np.roll(_MAJOR_SCALE, tonic) for tonic in range(12)])
"""Pitch classes of the major scales, and so of their relative natural minors, shape (12, 12)."""


@dataclass(frozen=True)
class RollStatistics:
    """Statistics of rolls. Those that need a note are None if there is none.

    Attributes:
        pieces: Number of rolls.
        frames: Number of frames.
        quarters: Length in quarter notes.
        notes: Number of notes.
        density: Share of ones in the binary array, onset channel included.
        polyphony: Mean number of sounding pitches over the frames in which something sounds.
        empty_frame_rate: Share of frames in which nothing sounds.
        longest_silence: Longest time in which nothing sounds, in quarter notes.
        pitch_class_entropy: Entropy of the notes' pitch classes in bits, 0 to log2(12) = 3.585.
        scale_consistency: Largest share of the notes that lies within one major or natural minor scale.
        mean_note_length: Mean length of a note, in quarter notes.
        median_note_length: Median length of a note, in quarter notes.
        longest_note: Length of the longest note, in quarter notes.
        lowest_pitch: Lowest MIDI pitch that sounds.
        highest_pitch: Highest MIDI pitch that sounds.
        unique_pitches: Number of different pitches that sound.
        repeated_frame_rate: Share of frames, the first left out, with the same pitches as the frame before,
            silence included.
        longest_unchanged: Longest time without a change of pitches, silence left out, in quarter notes.
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


def pitch_class_entropy(counts: NDArray[Any]) -> float:
    """Return the entropy of a pitch-class histogram, shape (12,), with a positive sum, in bits."""
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(share * np.log2(share)).sum()))


def scale_consistency(counts: NDArray[Any]) -> float:
    """Return the largest share of a pitch-class histogram, shape (12,), that one of ``SCALES`` holds."""
    return float((SCALES @ counts).max() / counts.sum())


class RollCounts:
    """Sums over rolls of one layout, from which their statistics follow. No roll is kept.

    Attributes:
        layout: The layout of the rolls.
        pieces: Rolls that were added.
        frames: Their frames.
        pitch_frames: Frames in which each pitch of the layout sounds, shape (P,).
        voice_frames: Frames in which 0, 1, 2 … pitches sound, shape (P + 1,).
        keys: Rolls in each key, by its name; ``none`` where no key fits better than another.
    """

    def __init__(self, layout: Layout, rolls: Iterable[PianoRoll] = ()) -> None:
        self.layout = layout
        self.pieces = self.frames = 0
        self.pitch_frames = np.zeros(layout.pitches, np.int64)
        self.voice_frames = np.zeros(layout.pitches + 1, np.int64)
        self.keys: Counter[str] = Counter()
        self._repeats = self._longest_silence = self._longest_unchanged = 0
        self._entropy = self._consistency = 0.0
        self._notes = np.zeros(layout.pitches, np.int64)
        self._lengths = np.zeros(1, np.int64)
        self._classes = np.arange(layout.low, layout.high + 1) % 12
        for roll in rolls:
            self.add(roll)

    def add(self, roll: PianoRoll) -> None:
        """Add a roll; one of another layout raises RollError."""
        if roll.layout != self.layout:
            raise RollError(f"expected rolls of one layout, {self.layout}, found {roll.layout}")
        # Sounding cells are few, so counting them is faster than passes over the roll. Pitches follow each
        # other with a silent frame between, so a pitch that keeps sounding has consecutive cells.
        by_pitch = np.zeros((self.layout.pitches, len(roll) + 1), np.uint8)
        by_pitch[:, :-1] = roll.sounding.T
        cells = np.flatnonzero(by_pitch.view(bool))
        pitch = cells // by_pitch.shape[1]
        frame = cells - pitch * by_pitch.shape[1]
        begins, ends = np.ones((2, len(cells)), bool)
        begins[1:] = ends[:-1] = np.diff(cells) != 1
        pitch_frames = np.bincount(pitch, minlength=self.layout.pitches)
        self.pieces += 1
        self.frames += len(roll)
        self.pitch_frames += pitch_frames
        key = find_key(self._by_class(pitch_frames))
        self.keys[key.name if key else "none"] += 1
        changes = np.zeros(len(roll) + 1, bool)  # frames in which a pitch begins or has ended
        changes[frame[begins]] = changes[frame[ends] + 1] = True
        voices = np.bincount(frame, minlength=len(roll))
        same, sounds = ~changes[1:-1], voices > 0
        self._repeats += int(np.count_nonzero(same))
        self.voice_frames += np.bincount(voices, minlength=len(self.voice_frames))
        self._longest_silence = max(self._longest_silence, _longest_run(~sounds))
        if sounds.any():
            self._longest_unchanged = max(self._longest_unchanged, _longest_run(same & sounds[1:]) + 1)
        if len(cells):
            starts = roll.onsets[frame, pitch] == 1 if self.layout.has_onsets else begins
            (first,) = np.nonzero(starts)
            notes = np.bincount(pitch[first], minlength=self.layout.pitches)
            classes = self._by_class(notes)
            self._entropy += len(first) * pitch_class_entropy(classes)
            self._consistency += len(first) * scale_consistency(classes)
            self._notes += notes
            lengths = np.bincount(np.diff(first, append=len(cells)), minlength=len(self._lengths))
            lengths[: len(self._lengths)] += self._lengths
            self._lengths = lengths

    def histograms(self) -> dict[str, dict[str, int]]:
        """Return how many frames each MIDI pitch, each pitch class and each number of pitches sounds.

        Pitches that never sound, and numbers of pitches above the largest, are left out.
        """
        classes = self._by_class(self.pitch_frames)
        (pitches,), (voices,) = np.nonzero(self.pitch_frames), np.nonzero(self.voice_frames)
        sounding, polyphony = self.pitch_frames[pitches], self.voice_frames[: voices.max(initial=0) + 1]
        return {
            "pitch_histogram": dict(zip(map(str, pitches + self.layout.low), sounding.tolist(), strict=True)),
            "pitch_class_histogram": dict(zip(PITCH_CLASSES, classes.tolist(), strict=True)),
            "polyphony_histogram": {str(number): count for number, count in enumerate(polyphony.tolist())},
        }

    def _by_class(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return values of pitches, shape (P,), summed over octaves, shape (12,)."""
        return np.bincount(self._classes, weights=values, minlength=12).astype(np.int64)

    def statistics(self) -> RollStatistics:
        """Return the statistics; at least one roll must have been added."""
        per_quarter = self.layout.resolution
        notes, used = int(self._notes.sum()), np.flatnonzero(self._notes)
        cells, silent = int(self.pitch_frames.sum()), int(self.voice_frames[0])
        ones = cells + notes if self.layout.has_onsets else cells
        return RollStatistics(
            pieces=self.pieces,
            frames=self.frames,
            quarters=self.frames / per_quarter,
            notes=notes,
            density=ones / (self.frames * self.layout.width),
            polyphony=cells / (self.frames - silent) if notes else None,
            empty_frame_rate=1 - (self.frames - silent) / self.frames,
            longest_silence=self._longest_silence / per_quarter,
            pitch_class_entropy=self._entropy / notes if notes else None,
            scale_consistency=self._consistency / notes if notes else None,
            mean_note_length=cells / notes / per_quarter if notes else None,
            median_note_length=_median(self._lengths) / per_quarter if notes else None,
            longest_note=(len(self._lengths) - 1) / per_quarter if notes else None,
            lowest_pitch=self.layout.low + int(used[0]) if notes else None,
            highest_pitch=self.layout.low + int(used[-1]) if notes else None,
            unique_pitches=len(used),
            repeated_frame_rate=self._repeats / max(1, self.frames - self.pieces),
            longest_unchanged=self._longest_unchanged / per_quarter,
            onsets_per_quarter=notes * per_quarter / self.frames,
        )


def _longest_run(mask: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True in a mask, shape (N,)."""
    padded = np.zeros(len(mask) + 2, bool)
    padded[1:-1] = mask
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _median(counts: NDArray[np.int64]) -> float:
    """Return the median of values of which value i occurs ``counts[i]`` times."""
    total = int(counts.sum())
    middle = np.searchsorted(np.cumsum(counts), [(total - 1) // 2, total // 2], side="right")
    return float(middle.mean())
