"""Notes fall on the grid by stated rules, and a roll that went through MIDI is the same roll."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from musicrnn.errors import RollError
from musicrnn.music import pianoroll
from musicrnn.music.midi import midi_bytes, read_midi, write_midi
from musicrnn.music.pianoroll import Layout, PianoRoll, quantized, rasterize, to_pianoroll, to_score
from musicrnn.music.score import NOTE, Score, Tempo, Track

PIANO = Layout(resolution=4, low=60, high=62)


@st.composite
def rolls(draw: st.DrawFn, channels: st.SearchStrategy[str]) -> PianoRoll:
    low, high = sorted(draw(st.tuples(st.integers(0, 127), st.integers(0, 127))))
    layout = Layout(draw(st.integers(1, 24)), low, high, draw(channels))
    shape = (draw(st.integers(1, 24)), layout.width)
    return PianoRoll(draw(arrays(np.uint8, shape, elements=st.integers(0, 1), fill=st.just(0))), layout)


def again(roll: PianoRoll, score: Score) -> PianoRoll:
    """The roll of a score on the grid of another roll."""
    return rasterize(score, roll.layout)


def score_of(*notes: tuple[int, int, int], **facts: object) -> Score:
    """A score of (start, end, pitch) at 480 ticks per quarter note: 120 ticks are a frame at resolution 4."""
    rows = np.array([(start, end, pitch, 80) for start, end, pitch in notes], NOTE)
    return Score(480, (Track(rows),), **facts)


def spans(roll: PianoRoll) -> list[tuple[int, int, int]]:
    """(first frame, frame after the last, pitch) of each note."""
    return [(start, end, pitch) for start, end, pitch, _ in roll.notes().tolist()]


@settings(deadline=None)
@given(rolls(st.just("frame+onset")))
def test_roll_to_midi_bytes_to_roll_is_exact(roll: PianoRoll) -> None:
    assert again(roll, read_midi(midi_bytes(to_score(roll)))) == roll


@settings(deadline=None)
@given(rolls(st.just("frame")))
def test_roll_without_onsets_to_midi_bytes_to_roll_is_exact(roll: PianoRoll) -> None:
    assert again(roll, read_midi(midi_bytes(to_score(roll)))) == roll


@settings(max_examples=15, deadline=None)
@given(roll=rolls(st.sampled_from(pianoroll.CHANNELS)))
def test_roll_to_midi_file_to_roll_is_exact(
    tmp_path_factory: pytest.TempPathFactory, roll: PianoRoll
) -> None:
    path = tmp_path_factory.mktemp("rolls") / "roll.mid"
    write_midi(to_score(roll, tempo=97.3, metre=(6, 8), program=19), path)
    assert again(roll, read_midi(path)) == roll


@settings(max_examples=50, deadline=None)
@given(rolls(st.sampled_from(pianoroll.CHANNELS)))
def test_notes_are_those_a_plain_loop_finds(roll: PianoRoll) -> None:
    found = []
    for column, first in itertools.product(range(roll.layout.pitches), range(len(roll))):
        if roll.onsets[first, column]:
            end = first + 1
            while end < len(roll) and roll.sounding[end, column] and not roll.onsets[end, column]:
                end += 1
            found.append((first, end, column + roll.layout.low))
    assert spans(roll) == sorted(found, key=lambda note: (note[0], note[2]))


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0, 120, (0, 1)),
        (59, 179, (0, 1)),  # nearest frame, below halfway
        (60, 180, (1, 2)),  # halfway goes to the later frame
        (110, 370, (1, 3)),
        (0, 1, (0, 1)),  # at least one frame
        (170, 179, (1, 2)),
        (110, 125, (1, 2)),
    ],
)
def test_a_note_starts_and_ends_at_the_nearest_frame(start: int, end: int, frames: tuple[int, int]) -> None:
    roll = to_pianoroll(score_of((start, end, 60)), resolution=4, pitches=(60, 62))
    assert spans(roll) == [(*frames, 60)]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 32767), st.integers(1, 96))
def test_quantize_is_rounding_half_up_in_exact_arithmetic(
    tick: int, per_quarter: int, resolution: int
) -> None:
    frame = quantized(tick, per_quarter, resolution)
    assert -per_quarter < 2 * (frame * per_quarter - tick * resolution) <= per_quarter


def test_repeated_notes_stay_apart_only_with_onsets() -> None:
    score = score_of((0, 240, 60), (240, 480, 60))
    assert spans(to_pianoroll(score, channels="frame+onset")) == [(0, 2, 60), (2, 4, 60)]
    assert spans(to_pianoroll(score, channels="frame")) == [(0, 4, 60)]


def test_overlapping_notes_of_one_pitch_sound_until_the_last_ends() -> None:
    roll = to_pianoroll(score_of((0, 480, 60), (120, 240, 60)))
    assert spans(roll) == [(0, 1, 60), (1, 4, 60)]


def test_drums_are_left_out() -> None:
    drums = Track(np.array([(0, 960, 60, 80)], NOTE), is_drum=True)
    piano = Track(np.array([(0, 120, 62, 80)], NOTE))
    roll = to_pianoroll(Score(480, (drums, piano)))
    assert spans(roll) == [(0, 1, 62)]
    assert len(roll) == 8


def test_tempo_changes_do_not_matter() -> None:
    notes = [(0, 240, 60), (240, 480, 61), (480, 960, 62)]
    steady = to_pianoroll(score_of(*notes))
    rubato = to_pianoroll(score_of(*notes, tempos=(Tempo(0, 30.0), Tempo(300, 290.0))))
    assert rubato == steady


def test_pitches_out_of_range_are_dropped_and_the_length_is_kept() -> None:
    roll = to_pianoroll(score_of((0, 120, 59), (120, 240, 60), (240, 360, 62), (360, 480, 63)), 4, (60, 62))
    assert spans(roll) == [(1, 2, 60), (2, 3, 62)]
    assert roll.frames.shape == (4, 6)


def test_columns_are_pitches_low_to_high_then_their_onsets() -> None:
    roll = to_pianoroll(score_of((0, 240, 60), (120, 240, 62)), 4, (60, 62))
    assert roll.frames.tolist() == [[1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 0, 1]]


def test_a_roll_is_made_canonical() -> None:
    lone_onset, unannounced = [0, 0, 0, 1, 0, 0], [1, 0, 1, 0, 0, 0]
    roll = PianoRoll(np.array([lone_onset, unannounced], np.uint8), PIANO)
    assert roll.frames.tolist() == [[1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 0, 1]]


def test_the_callers_array_is_not_changed() -> None:
    frames = np.array([[0, 0, 0, 1, 0, 0]], np.uint8)
    PianoRoll(frames, PIANO)
    assert frames.tolist() == [[0, 0, 0, 1, 0, 0]]


def test_onsets_without_an_onset_channel_are_where_pitches_begin() -> None:
    roll = PianoRoll(np.array([[1, 0], [1, 1], [0, 1], [1, 1]], np.uint8), Layout(4, 60, 61, "frame"))
    assert roll.onsets.tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]


def test_lengths_are_in_quarter_notes() -> None:
    roll = PianoRoll(np.zeros((6, 6), np.uint8), PIANO)
    assert (len(roll), roll.quarters) == (6, 1.5)


def test_rolls_are_equal_by_value() -> None:
    zeros = np.zeros((2, 6), np.uint8)
    assert PianoRoll(zeros, PIANO) == PianoRoll(zeros, PIANO)
    assert PianoRoll(zeros, PIANO) != PianoRoll(zeros, Layout(8, 60, 62))
    assert PianoRoll(zeros, PIANO) != PianoRoll(zeros[:1], PIANO)
    assert PianoRoll(zeros, PIANO) != zeros.tolist()


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (np.zeros((0, 6)), r"T >= 1, got \(0, 6\)"),
        (np.zeros((2, 5)), r"shape \(T, 6\) .* got \(2, 5\)"),
        (np.zeros(6), r"got \(6,\)"),
        (np.full((1, 6), 2), "zeros and ones, got values 2 to 2"),
        (np.full((1, 6), -1), "got values -1 to -1"),
    ],
)
def test_refuses_arrays_that_are_no_roll(frames: np.ndarray, text: str) -> None:
    with pytest.raises(RollError, match=text):
        PianoRoll(frames, PIANO)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0,), "resolution must be 1 to 96 frames per quarter note, got 0"),
        ((97,), "got 97"),
        ((4, 60, 59), "within 0:127, got 60:59"),
        ((4, 0, 128), "got 0:128"),
        ((4, 0, 127, "onset"), "one of frame, frame.onset, got 'onset'"),
    ],
)
def test_refuses_invalid_layouts(values: tuple, text: str) -> None:
    with pytest.raises(RollError, match=text):
        Layout(*values)


def test_layout_through_json_values() -> None:
    layout = Layout(12, 30, 90, "frame")
    assert layout.to_dict() == {"width": 61, "channels": "frame", "pitches": [30, 90], "resolution": 12}
    assert Layout.from_dict(layout.to_dict()) == layout


def test_default_layout_has_the_published_88_pitches() -> None:
    assert (Layout().pitches, Layout().width, Layout(channels="frame").width) == (88, 176, 88)


def test_refuses_an_empty_score() -> None:
    with pytest.raises(RollError, match="found an empty score"):
        to_pianoroll(Score(480, ()))


def test_refuses_a_score_too_long_before_it_takes_memory() -> None:
    with pytest.raises(RollError, match=f"at most {pianoroll.MAX_FRAMES} frames, found a score of 4000000"):
        to_pianoroll(score_of((0, 480 * 10**6, 60)))


def test_to_score_says_tempo_metre_and_program() -> None:
    roll = PianoRoll(np.zeros((6, 6), np.uint8), PIANO)
    score = to_score(roll, tempo=90.0, metre=(3, 4), program=19)
    assert [(tempo.tick, tempo.quarters) for tempo in score.tempos] == [(0, 90.0)]
    assert [(metre.numerator, metre.denominator) for metre in score.metres] == [(3, 4)]
    assert score.tracks[0].program == 19
    assert score.quarters == 1.5


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"tempo": 0}, "tempo must be 4 to 1000"),
        ({"tempo": float("nan")}, "tempo must be 4 to 1000"),
        ({"metre": (4, 3)}, "metre must be 1 to 255 over a power of two up to 128, got 4/3"),
        ({"metre": (0, 4)}, "got 0/4"),
        ({"program": 128}, "program must be 0 to 127, got 128"),
    ],
)
def test_what_midi_cannot_say_is_refused(facts, message):
    with pytest.raises(RollError, match=message):
        to_score(PianoRoll(np.ones((1, 88), np.uint8), Layout(channels="frame")), **facts)


def test_rolls_follow_each_other_only_in_one_layout():
    layout = Layout(channels="frame")
    one, other = (PianoRoll(np.full((length, 88), length % 2, np.uint8), layout) for length in (3, 4))
    joined = one.followed_by(other)
    assert joined.frames.tolist() == [*one.frames.tolist(), *other.frames.tolist()]
    with pytest.raises(RollError, match="expected a roll of the layout"):
        one.followed_by(PianoRoll(np.ones((1, 176), np.uint8), Layout()))


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """A score of two tracks whose notes crowd on few pitches and ticks, with changes of tempo."""
    per_quarter = draw(st.sampled_from([1, 7, 12, 96]))
    tick = st.integers(0, 5 * per_quarter)
    tracks = []
    for _ in range(2):
        notes = draw(st.lists(st.tuples(tick, tick, st.integers(59, 63)), max_size=6))
        rows = [(min(note[:2]), max(note[:2]), note[2], 80) for note in notes]
        tracks.append(Track(np.array(rows, NOTE)))
    changes = draw(st.lists(st.tuples(tick, st.sampled_from([30, 97.5, 120, 250])), max_size=3))
    tempos = tuple(Tempo(*change) for change in sorted(changes, key=lambda change: change[0]))
    return Score(per_quarter, tuple(tracks), tempos, end=draw(tick) + per_quarter)


def moments(score: Score, layout: Layout) -> list[Fraction]:
    """The time of every tick, in frames."""
    if layout.frame_seconds is None:
        return [Fraction(tick * layout.resolution, score.ticks_per_quarter) for tick in range(score.end + 1)]
    times, tempo = [Fraction(0)], Fraction(120)
    for tick in range(score.end):
        tempo = ([tempo] + [Fraction(change.quarters) for change in score.tempos if change.tick == tick])[-1]
        step = 60 / tempo / score.ticks_per_quarter / Fraction(str(layout.frame_seconds))
        times.append(times[-1] + step)
    return times


def expected_roll(score: Score, layout: Layout, quantize: str) -> PianoRoll | None:
    """The roll that the rules ask for, cell by cell, or None if it has no frame."""
    time, half, cells = moments(score, layout), Fraction(1, 2), []
    for start, end, pitch, _ in score.pitched().tolist():
        if quantize == "nearest":
            first, after = (int(time[tick] + half) for tick in (start, end))
            frames = range(first, max(after, first + 1))
        else:
            frames = [frame for frame in range(int(time[-1]) + 1) if time[start] <= frame + half < time[end]]
        cells += [(frame, pitch, frame == frames[0]) for frame in frames]
    if quantize == "nearest":
        length = int(time[-1] + half)
    else:
        length = sum(frame + half < time[-1] for frame in range(int(time[-1]) + 1))
    roll = np.zeros((max([length, *[frame + 1 for frame, _, _ in cells]]), layout.width), np.uint8)
    for frame, pitch, begins in cells:
        if layout.low <= pitch <= layout.high:
            roll[frame, pitch - layout.low] = 1
            if begins and layout.has_onsets:
                roll[frame, layout.pitches + pitch - layout.low] = 1
    return PianoRoll.trusted(roll, layout) if len(roll) else None


GRIDS = st.builds(
    Layout,
    st.integers(1, 24),
    st.just(60),
    st.just(62),
    st.sampled_from(pianoroll.CHANNELS),
    st.sampled_from([None, None, 0.02, 0.05, 0.125, 0.3, 1.7]),
)


@settings(max_examples=150, deadline=None)
@given(scores(), GRIDS, st.sampled_from(pianoroll.QUANTIZATIONS))
def test_rolls_are_those_that_the_rules_ask_for_cell_by_cell(
    score: Score, layout: Layout, quantize: str
) -> None:
    expected = expected_roll(score, layout, quantize)
    if expected is None:
        with pytest.raises(RollError, match="found an empty score"):
            rasterize(score, layout, quantize)
    else:
        assert rasterize(score, layout, quantize) == expected


@settings(max_examples=60, deadline=None)
@given(scores(), st.integers(1, 24))
def test_no_note_is_lost_at_the_nearest_frame(score: Score, resolution: int) -> None:
    roll = to_pianoroll(score, resolution)
    for start, _, pitch, _ in score.pitched().tolist():
        nearest = int(Fraction(start * resolution, score.ticks_per_quarter) + Fraction(1, 2))
        assert roll.onsets[nearest, pitch - 21] == roll.sounding[nearest, pitch - 21] == 1


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (0, 120, [(0, 1, 60)]),
        (59, 179, [(0, 1, 60)]),
        (60, 180, [(0, 1, 60)]),  # begins with the middle of frame 0, ends before that of frame 1
        (61, 180, []),
        (61, 181, [(1, 2, 60)]),
        (0, 60, []),
        (0, 61, [(0, 1, 60)]),
    ],
)
def test_a_note_sounds_in_the_frames_whose_middle_it_covers(start: int, end: int, found: list) -> None:
    assert spans(rasterize(score_of((start, end, 60), end=480), Layout(), "midpoint")) == found


def test_refuses_a_quantization_it_does_not_know() -> None:
    with pytest.raises(RollError, match="one of nearest, midpoint, got 'floor'"):
        rasterize(score_of((0, 120, 60)), Layout(), "floor")


@pytest.mark.parametrize(
    ("frame_seconds", "resolution", "tempo"),
    [(0.02, 25, 120), (0.05, 10, 120), (0.3, 2, 100), (10, 1, 6), (0.001, 96, 625)],
)
def test_frames_in_seconds_are_played_at_about_120(
    frame_seconds: float, resolution: int, tempo: float
) -> None:
    layout = Layout.in_seconds(frame_seconds)
    assert (layout.resolution, layout.tempo) == (resolution, pytest.approx(tempo))
    assert to_score(PianoRoll(np.ones((1, 176), np.uint8), layout)).main_tempo() == pytest.approx(tempo)


def test_frames_that_follow_the_beat_are_played_at_any_tempo() -> None:
    assert Layout(4).tempo is None


@pytest.mark.parametrize("frame_seconds", [0, -1, 0.0009, 10.1, float("nan"), float("inf")])
def test_refuses_invalid_lengths_of_frames(frame_seconds: float) -> None:
    with pytest.raises(RollError, match=r"frames must last 0\.001 to 10 seconds, got"):
        Layout.in_seconds(frame_seconds)


def test_the_length_of_frames_goes_through_json_values_and_words() -> None:
    layout = Layout.in_seconds(0.05)
    assert layout.to_dict()["frame_seconds"] == 0.05
    assert Layout.from_dict(layout.to_dict()) == layout
    assert str(layout) == "D=176 (frame+onset, pitches 21:108, 0.05 s each)"
    assert str(Layout(4)) == "D=176 (frame+onset, pitches 21:108, 4 per quarter)"


@settings(max_examples=40, deadline=None)
@given(scores(), st.sampled_from([0.02, 0.125, 0.3]), st.sampled_from(pianoroll.CHANNELS))
def test_to_pianoroll_makes_the_layout_that_rasterize_takes(
    score: Score, frame_seconds: float, channels: str
) -> None:
    def found(function: Callable[..., PianoRoll], *layout: object, **facts: object) -> PianoRoll | str:
        try:
            return function(score, *layout, quantize="midpoint", **facts)
        except RollError as error:
            return error.reason

    facts = {"pitches": (60, 62), "channels": channels}
    seconds = Layout.in_seconds(frame_seconds, 60, 62, channels)
    assert found(to_pianoroll, frame_seconds=frame_seconds, **facts) == found(rasterize, seconds)
    assert found(to_pianoroll, 6, **facts) == found(rasterize, Layout(6, 60, 62, channels))


def test_frames_in_seconds_follow_the_tempo() -> None:
    tempos = (Tempo(0, 60.0), Tempo(480, 120.0))
    score = score_of((0, 480, 60), (480, 960, 62), tempos=tempos)
    roll = rasterize(score, Layout.in_seconds(0.25))
    assert spans(roll) == [(0, 4, 60), (4, 6, 62)]


@pytest.mark.parametrize(
    ("per_quarter", "frame_seconds", "tick", "nearest", "midpoint"),
    [(480, 0.05, 72, 2, 1), (480, 0.1, 144, 2, 1), (10, 0.02, 3, 8, 7)],
)
def test_halves_are_halves_in_seconds_too(
    per_quarter: int, frame_seconds: float, tick: int, nearest: int, midpoint: int
) -> None:
    score = Score(per_quarter, (Track(np.array([(tick, 960, 60, 80)], NOTE)),))
    for quantize, frame in (("nearest", nearest), ("midpoint", midpoint)):
        roll = rasterize(score, Layout.in_seconds(frame_seconds), quantize)
        assert spans(roll)[0][0] == frame


@settings(max_examples=60, deadline=None)
@given(
    rolls(st.sampled_from(pianoroll.CHANNELS)),
    st.sampled_from([0.001, 0.011, 0.02, 0.0333, 0.1, 0.7, 1.234567, 10]),
)
def test_roll_in_seconds_to_midi_bytes_to_roll_is_exact(roll: PianoRoll, frame_seconds: float) -> None:
    layout = roll.layout
    roll = PianoRoll(roll.frames, Layout.in_seconds(frame_seconds, layout.low, layout.high, layout.channels))
    assert again(roll, read_midi(midi_bytes(to_score(roll)))) == roll


def test_a_score_too_long_in_seconds_is_refused() -> None:
    with pytest.raises(RollError, match="found a score of 500000") as caught:
        rasterize(score_of((0, 480_000, 60)), Layout.in_seconds(0.001))
    assert caught.value.reason == "too-long"


@settings(max_examples=80, deadline=None)
@given(rolls(st.sampled_from(pianoroll.CHANNELS)))
def test_from_notes_is_the_inverse_of_notes(roll: PianoRoll) -> None:
    notes = roll.notes()
    assert PianoRoll.from_notes(notes, len(roll), roll.layout) == roll
    assert PianoRoll.from_notes(notes[::-1], len(roll), roll.layout) == roll


def test_from_notes_leaves_out_what_is_out_of_range_and_joins_what_overlaps() -> None:
    rows = [(2, 4, 62), (0, 5, 59), (0, 2, 60), (0, 5, 60), (2, 3, 60), (1, 6, 63), (5, 6, 61)]
    notes = np.array([(*row, 80) for row in rows], NOTE)
    roll = PianoRoll.from_notes(notes, 7, PIANO)
    assert spans(roll) == [(0, 2, 60), (2, 5, 60), (2, 4, 62), (5, 6, 61)]
    assert len(roll) == 7
    assert notes["pitch"].tolist() == [row[2] for row in rows]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(59, 62)), max_size=24))
def test_from_notes_sets_every_cell_of_every_note(found: list[tuple[int, int, int]]) -> None:
    expected = np.zeros((18, PIANO.width), np.uint8)
    for start, span, pitch in found:
        if pitch >= PIANO.low:
            expected[start : start + span, pitch - PIANO.low] = 1
            expected[start, PIANO.pitches + pitch - PIANO.low] = 1
    notes = np.array([(start, start + span, pitch, 80) for start, span, pitch in found], NOTE)
    assert PianoRoll.from_notes(notes, 18, PIANO).frames.tolist() == expected.tolist()


def test_from_notes_takes_no_notes_at_all() -> None:
    assert PianoRoll.from_notes(np.zeros(0, NOTE), 3, PIANO) == PianoRoll(np.zeros((3, 6), np.uint8), PIANO)
    with pytest.raises(RollError, match="found an empty score") as caught:
        PianoRoll.from_notes(np.zeros(0, NOTE), 0, PIANO)
    assert caught.value.reason == "no-notes"
