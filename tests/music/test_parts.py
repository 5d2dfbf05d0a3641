"""Parts are taken by number, name or program, and the pedal lengthens what it should and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.music.parts import select_parts, sustain
from musicrnn.music.score import NOTE, Score, Track


def track(*notes: tuple[int, int, int], pedals: tuple[tuple[int, int], ...] = (), **facts: object) -> Track:
    """A track of (start, end, pitch), with pedals from tick to tick."""
    rows = np.array([(start, end, pitch, 80) for start, end, pitch in notes], NOTE)
    return Track(rows, pedals=np.array(pedals, np.int64).reshape(-1, 2), **facts)


NOTE_EACH = [(0, 480, 60)]
SCORE = Score(
    480,
    (
        track(*NOTE_EACH, name="Melody"),
        track(*NOTE_EACH, name="Left hand", program=19),
        track(*NOTE_EACH, name="Drums", is_drum=True),
        track(*NOTE_EACH, name="melody 2", program=40),
    ),
    end=960,
)


@pytest.mark.parametrize(
    ("tracks", "programs", "taken"),
    [
        ([], [], ["Melody", "Left hand", "Drums", "melody 2"]),
        (["1"], [], ["Melody"]),
        (["2", "4"], [], ["Left hand", "melody 2"]),
        (["MELODY"], [], ["Melody"]),
        (["melody*"], [], ["Melody", "melody 2"]),
        (["*hand", "d?ums"], [], ["Left hand", "Drums"]),
        ([], [19, 40], ["Left hand", "melody 2"]),
        (["melody*"], [0], ["Melody"]),
        (["5"], [], []),
        (["viola"], [], []),
    ],
)
def test_tracks_are_taken_by_number_name_and_program(
    tracks: list[str], programs: list[int], taken: list[str]
) -> None:
    assert [track.name for track in select_parts(SCORE, tracks, programs).tracks] == taken


def test_what_is_taken_keeps_the_length_of_the_whole() -> None:
    assert select_parts(SCORE, ["1"]).end == 960


def ends(*notes: tuple[int, int, int], pedals: tuple[tuple[int, int], ...], **facts: object) -> list[int]:
    """The ends of the notes of a track with its pedals applied."""
    return sustain(Score(480, (track(*notes, pedals=pedals, **facts),))).tracks[0].notes["end"].tolist()


@pytest.mark.parametrize(
    ("notes", "pedals", "expected"),
    [
        ([(0, 10, 60)], [], [10]),
        ([(0, 10, 60)], [(5, 50)], [50]),
        ([(0, 10, 60)], [(10, 50)], [50]),  # down in the tick in which the key comes up
        ([(0, 10, 60)], [(11, 50)], [10]),
        ([(0, 10, 60)], [(0, 9)], [10]),
        ([(0, 10, 60)], [(0, 5), (20, 50)], [10]),
        ([(0, 10, 60), (30, 40, 60)], [(5, 50)], [30, 50]),  # struck again
        ([(0, 10, 60), (30, 40, 62)], [(5, 50)], [50, 50]),
        ([(0, 20, 60), (10, 30, 60)], [(5, 50)], [20, 50]),  # no note gets shorter
        ([(0, 10, 60), (20, 80, 60)], [(5, 50)], [20, 80]),
        ([(0, 10, 60), (10, 20, 60)], [(5, 50)], [10, 50]),
        ([(0, 10, 60)], [(20, 50), (5, 15)], [15]),  # in any order
        ([(0, 10, 60)], [(0, 90), (5, 15)], [90]),  # one pedal within another
    ],
)
def test_notes_sound_until_the_pedal_comes_up_or_their_key_is_struck_again(
    notes: list[tuple[int, int, int]], pedals: list[tuple[int, int]], expected: list[int]
) -> None:
    assert ends(*notes, pedals=tuple(pedals)) == expected


def test_the_pedal_is_that_of_the_track_and_not_for_drums() -> None:
    pedalled, plain = track((0, 10, 60), pedals=((5, 50),)), track((0, 10, 62))
    sustained = sustain(Score(480, (pedalled, plain)))
    assert [part.notes["end"].tolist() for part in sustained.tracks] == [[50], [10]]
    assert sustained.end == 50
    assert pedalled.notes["end"].tolist() == [10]
    assert ends((0, 10, 36), pedals=((5, 50),), is_drum=True) == [10]


TICKS = st.integers(0, 12)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(TICKS, TICKS, st.sampled_from([60, 61])), min_size=1, max_size=8),
    st.lists(st.integers(0, 24), max_size=8).map(sorted),
)
def test_the_pedal_is_that_of_a_loop_over_the_ticks(notes: list, moves: list[int]) -> None:
    notes = sorted((start, start + length, pitch) for start, length, pitch in notes)
    pedals = [(down, up) for down, up in zip(moves[::2], moves[1::2], strict=False) if down < up]
    expected = []
    for place, (_, end, pitch) in enumerate(notes):
        strikes = [start for start, _, other in notes[place + 1 :] if other == pitch]
        sounds = any(down <= end < up for down, up in pedals) and min(strikes, default=99) > end
        while sounds:
            end += 1
            sounds = end not in [up for _, up in pedals] and end not in strikes
        expected.append(end)
    assert ends(*notes, pedals=tuple(pedals)) == expected
