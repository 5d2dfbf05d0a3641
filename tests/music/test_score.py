"""A score knows its length, what holds longest, and when each tick sounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.music.score import NOTE, Metre, Score, Tempo, Track, key_name

PIANO = Track(np.array([(0, 480, 60, 80)], NOTE))
DRUMS = Track(np.array([(0, 120, 36, 127)], NOTE), is_drum=True)


def test_a_score_ends_no_earlier_than_its_notes() -> None:
    assert Score(480, (PIANO,), end=100).end == 480
    assert Score(480, (PIANO,), end=960).quarters == 2


def test_pitched_leaves_drums_out() -> None:
    assert Score(480, (DRUMS, PIANO)).pitched().tolist() == [(0, 480, 60, 80)]
    assert len(Score(480, (DRUMS,)).pitched()) == 0
    assert Score(480, (DRUMS, PIANO)).note_count == 2


def test_the_main_tempo_and_metre_hold_longest_in_sum() -> None:
    tempos = (Tempo(0, 90.0), Tempo(400, 120.0), Tempo(900, 90.0))
    score = Score(480, (), tempos, (Metre(0, 4, 4), Metre(480, 3, 4)), end=1200)
    assert (score.main_tempo(), score.main_metre()) == (90.0, (3, 4))


def test_a_file_without_tempo_and_metre_has_no_main_ones() -> None:
    assert (Score(480, (PIANO,)).main_tempo(), Score(480, (PIANO,)).main_metre()) == (None, None)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 960),
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([30.0, 97.3, 120.0, 480.0])), max_size=5),
)
def test_seconds_are_those_of_a_loop_over_the_ticks(per_quarter: int, changes: list) -> None:
    tempos = tuple(Tempo(tick, quarters) for tick, quarters in sorted(changes, key=lambda change: change[0]))
    now, tempo, expected = 0.0, 120.0, []
    for tick in range(60):
        tempo = ([tempo] + [change.quarters for change in tempos if change.tick == tick])[-1]
        expected.append(now)
        now += 60 / tempo / per_quarter
    assert Score(per_quarter, (), tempos).seconds(np.arange(60)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sharps", "minor", "name"),
    [
        (0, False, "C"),
        (0, True, "Am"),
        (-3, True, "Cm"),
        (7, False, "C#"),
        (-7, True, "Abm"),
        (7, True, "A#m"),
    ],
)
def test_key_names(sharps: int, minor: bool, name: str) -> None:
    assert key_name(sharps, minor) == name
