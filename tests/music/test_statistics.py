"""Statistics are those counted by hand, and pooling weighs pieces by what is counted."""

from __future__ import annotations

import itertools
import json
import math
import weakref
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import Layout, PianoRoll, to_score
from musicrnn.music.statistics import (
    SCALES,
    RollCounts,
    RollStatistics,
    pitch_class_entropy,
    scale_consistency,
)
from musicrnn.music.tonality import find_key

OCTAVE = Layout(resolution=2, low=60, high=72)


def roll_of(frames: int, *notes: tuple[int, int, int], layout: Layout = OCTAVE) -> PianoRoll:
    """A roll of (first frame, frame after the last, pitch)."""
    cells = np.zeros((frames, layout.width), np.uint8)
    for start, end, pitch in notes:
        cells[start:end, pitch - layout.low] = 1
        if layout.has_onsets:
            cells[start, layout.pitches + pitch - layout.low] = 1
    return PianoRoll(cells, layout)


def statistics_of(*rolls: PianoRoll) -> RollStatistics:
    return RollCounts(rolls[0].layout, rolls).statistics()


# Frames:         0 1 2 3 4 5 6 7 8 9
#   C5 (72)       . . . . . . . . . x
#   F#4 (66)      . . . x . . . . . .
#   E4 (64)       x x x . . . . . . .
#   C4 (60)       x x X . . . . x x x      (X: struck again)
PIECE = roll_of(10, (0, 2, 60), (2, 3, 60), (0, 3, 64), (3, 4, 66), (7, 10, 60), (9, 10, 72))


def test_counted_by_hand() -> None:
    found = statistics_of(PIECE)
    assert (found.pieces, found.frames, found.quarters, found.notes) == (1, 10, 5.0, 6)
    assert found.density == pytest.approx((11 + 6) / (10 * 26))
    assert found.polyphony == pytest.approx(11 / 7)
    assert found.empty_frame_rate == pytest.approx(0.3)
    assert found.longest_silence == 1.5
    assert found.mean_note_length == pytest.approx(11 / 6 / 2)
    assert found.median_note_length == 0.75  # of 1, 1, 1, 2, 3, 3 frames
    assert found.longest_note == 1.5
    assert (found.lowest_pitch, found.highest_pitch, found.unique_pitches) == (60, 72, 4)
    assert found.repeated_frame_rate == pytest.approx(5 / 9)  # frames 1, 2, 5, 6 and 8
    assert found.longest_unchanged == 1.5
    assert found.onsets_per_quarter == pytest.approx(6 / 5)


def test_pitch_classes_are_counted_by_note() -> None:
    found = statistics_of(PIECE)  # C four times, E, F#
    expected = -(4 / 6 * math.log2(4 / 6) + 2 * (1 / 6 * math.log2(1 / 6)))
    assert found.pitch_class_entropy == pytest.approx(expected)
    assert found.scale_consistency == 1.0  # G major has them all


@pytest.mark.parametrize(
    ("counts", "entropy"), [([5] + [0] * 11, 0.0), ([1, 1] + [0] * 10, 1.0), ([3] * 12, math.log2(12))]
)
def test_entropy_in_bits(counts: list[int], entropy: float) -> None:
    assert pitch_class_entropy(np.array(counts)) == pytest.approx(entropy)


def test_scale_consistency_of_all_twelve_is_seven_twelfths() -> None:
    assert scale_consistency(np.ones(12)) == pytest.approx(7 / 12)
    assert scale_consistency(np.array([4, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])) == pytest.approx(8 / 9)


def test_scales_are_the_diatonic_ones() -> None:
    assert np.flatnonzero(SCALES[0]).tolist() == [0, 2, 4, 5, 7, 9, 11]
    assert np.flatnonzero(SCALES[9]).tolist() == [1, 2, 4, 6, 8, 9, 11]  # A major
    assert len({tuple(scale) for scale in SCALES.tolist()}) == 12


def test_silence_has_no_notes_to_tell_of() -> None:
    found = statistics_of(roll_of(4))
    assert (found.notes, found.empty_frame_rate, found.longest_silence) == (0, 1.0, 2.0)
    assert (found.repeated_frame_rate, found.longest_unchanged, found.onsets_per_quarter) == (1.0, 0.0, 0.0)
    undefined = {name for name, value in asdict(found).items() if value is None}
    assert undefined == {
        "polyphony",
        "pitch_class_entropy",
        "scale_consistency",
        "mean_note_length",
        "median_note_length",
        "longest_note",
        "lowest_pitch",
        "highest_pitch",
    }


def test_a_drone_shows() -> None:
    drone = statistics_of(roll_of(20, (2, 20, 60), (2, 20, 67)))
    assert (drone.longest_unchanged, drone.longest_note) == (9.0, 9.0)
    assert drone.repeated_frame_rate == pytest.approx(18 / 19)


def test_silence_is_no_drone() -> None:
    found = statistics_of(roll_of(10, (0, 1, 60)))
    assert (found.longest_unchanged, found.longest_silence) == (0.5, 4.5)


def test_one_frame() -> None:
    found = statistics_of(roll_of(1, (0, 1, 60)))
    assert (found.repeated_frame_rate, found.longest_unchanged, found.longest_silence) == (0.0, 0.5, 0.0)


def test_without_onsets_repeated_notes_are_one() -> None:
    found = statistics_of(roll_of(4, (0, 2, 60), (2, 4, 60), layout=Layout(2, 60, 72, "frame")))
    assert (found.notes, found.mean_note_length, found.density) == (1, 2.0, pytest.approx(4 / 52))


def test_pooling_weighs_by_what_is_counted() -> None:
    chromatic = roll_of(12, *((i, i + 1, 60 + i) for i in range(12)))
    pooled = statistics_of(PIECE, chromatic)
    one, other = statistics_of(PIECE), statistics_of(chromatic)
    assert (pooled.pieces, pooled.frames, pooled.notes, pooled.quarters) == (2, 22, 18, 11.0)
    assert pooled.polyphony == pytest.approx((11 + 12) / (7 + 12))
    assert pooled.empty_frame_rate == pytest.approx(3 / 22)
    assert pooled.repeated_frame_rate == pytest.approx(5 / (9 + 11))
    assert pooled.mean_note_length == pytest.approx(23 / 18 / 2)
    assert pooled.median_note_length == 0.5
    assert pooled.onsets_per_quarter == pytest.approx(18 / 11)
    assert pooled.scale_consistency == pytest.approx((6 * 1.0 + 12 * 7 / 12) / 18)
    assert pooled.pitch_class_entropy == pytest.approx(
        (6 * one.pitch_class_entropy + 12 * other.pitch_class_entropy) / 18
    )
    assert (pooled.longest_note, pooled.longest_silence, pooled.longest_unchanged) == (1.5, 1.5, 1.5)
    assert (pooled.lowest_pitch, pooled.highest_pitch, pooled.unique_pitches) == (60, 72, 13)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1, max_size=4))
def test_pooled_note_lengths_are_those_of_all_notes(pieces: list[list[int]]) -> None:
    rolls = []
    for lengths in pieces:
        ends = np.cumsum([0, *lengths]).tolist()
        notes = [(start, end, 60) for start, end in itertools.pairwise(ends)]
        rolls.append(roll_of(max(1, ends[-1]), *notes))
    found, every = statistics_of(*rolls), list(itertools.chain(*pieces))
    if every:
        assert found.mean_note_length == pytest.approx(np.mean(every) / 2)
        assert found.median_note_length == np.median(every) / 2
        assert found.longest_note == max(every) / 2
    else:
        assert found.mean_note_length is None


def longest(values: list[bool]) -> int:
    """The length of the longest run of True."""
    return max((len(list(group)) for value, group in itertools.groupby(values) if value), default=0)


@st.composite
def rolls(draw: st.DrawFn) -> PianoRoll:
    """Rolls of up to four pitches in any layout; few pitches make silence, drones and repeats likely."""
    channels = draw(st.sampled_from(["frame", "frame+onset"]))
    layout = Layout(draw(st.integers(1, 4)), low := draw(st.integers(0, 120)), low + 3, channels)
    frames = st.lists(st.integers(0, 1), min_size=layout.width, max_size=layout.width)
    return PianoRoll(np.array(draw(st.lists(frames, min_size=1, max_size=12)), np.uint8), layout)


@settings(max_examples=200, deadline=None)
@given(rolls())
def test_what_is_counted_is_what_a_walk_through_the_frames_finds(roll: PianoRoll) -> None:
    frames = [tuple(np.flatnonzero(frame) + roll.layout.low) for frame in roll.sounding]
    same = [before == after for before, after in itertools.pairwise(frames)]
    sounds_on = [before == after != () for before, after in itertools.pairwise(frames)]
    notes, per_quarter = roll.notes(), roll.layout.resolution
    lengths = notes["end"] - notes["start"]
    found = statistics_of(roll)
    assert found.notes == len(notes)
    assert found.density == pytest.approx(roll.frames.mean())
    assert found.empty_frame_rate == pytest.approx(frames.count(()) / len(frames))
    assert found.longest_silence == longest([frame == () for frame in frames]) / per_quarter
    assert found.repeated_frame_rate == pytest.approx(sum(same) / max(1, len(same)))
    assert found.longest_unchanged == (longest(sounds_on) + any(frames)) / per_quarter
    if len(notes):
        assert found.polyphony == pytest.approx(sum(map(len, frames)) / sum(map(bool, frames)))
        assert found.mean_note_length == pytest.approx(lengths.mean() / per_quarter)
        assert found.median_note_length == np.median(lengths) / per_quarter
        assert found.longest_note == lengths.max() / per_quarter
        assert (found.lowest_pitch, found.highest_pitch) == (notes["pitch"].min(), notes["pitch"].max())
        assert found.unique_pitches == len(set(itertools.chain(*frames)))


def test_histograms_count_frames() -> None:
    counts = RollCounts(OCTAVE, [PIECE, roll_of(3, (0, 1, 60))])
    assert counts.histograms() == {
        "pitch_histogram": {"60": 7, "64": 3, "66": 1, "72": 1},
        "pitch_class_histogram": {
            **dict.fromkeys(["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"], 0),
            "C": 8,
            "E": 3,
            "F#": 1,
        },
        "polyphony_histogram": {"0": 5, "1": 4, "2": 4},
    }


def test_without_a_note_there_is_nothing_in_the_histogram_of_pitches() -> None:
    counts = RollCounts(OCTAVE, [roll_of(3)])
    assert counts.histograms()["pitch_histogram"] == {}
    assert counts.histograms()["polyphony_histogram"] == {"0": 3}


def test_keys_are_those_found_roll_by_roll() -> None:
    def scale(tonic: int) -> PianoRoll:
        steps = (0, 4, 7, 0, 2, 4, 5, 7, 9, 11)
        notes = [(i, i + 1, 60 + (tonic + step) % 12) for i, step in enumerate(steps)]
        return roll_of(len(steps), *notes)

    pieces = [scale(0), scale(7), scale(7), PIECE]
    counts = RollCounts(OCTAVE, [*pieces, roll_of(4)])
    names = [find_key(to_score(roll)).name for roll in pieces]
    assert names[:3] == ["C major", "G major", "G major"]
    assert counts.keys == {**{name: names.count(name) for name in names}, "none": 1}


def test_many_rolls_are_read_once_and_none_is_kept() -> None:
    seen: list[weakref.ref[PianoRoll]] = []
    most_alive = 0

    def stream() -> Iterator[PianoRoll]:
        nonlocal most_alive
        for _ in range(20):
            most_alive = max(most_alive, sum(reference() is not None for reference in seen))
            roll = roll_of(4, (0, 2, 60))
            seen.append(weakref.ref(roll))
            yield roll

    assert RollCounts(OCTAVE, stream()).pieces == 20
    assert most_alive <= 2


def test_refuses_mixed_layouts() -> None:
    with pytest.raises(RollError, match=r"rolls of one layout, .*60:72.* found .*60:71"):
        statistics_of(PIECE, roll_of(2, layout=Layout(2, 60, 71)))


def test_statistics_are_json_values() -> None:
    document = json.loads(json.dumps(asdict(statistics_of(PIECE)), allow_nan=False))
    assert document["notes"] == 6
    assert document["polyphony"] == pytest.approx(11 / 7)
