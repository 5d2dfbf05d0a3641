"""Length, tempo and metre of new pieces."""

from __future__ import annotations

import pytest

from musicrnn.errors import UsageError
from musicrnn.music import Layout, PianoRoll, to_score
from musicrnn.sampling.lengths import Length, check_tempo, choose_metre, choose_tempo

LAYOUT = Layout(resolution=4, low=60, high=60, channels="frame")
PRIMER = to_score(PianoRoll([[1]], LAYOUT), 77, (3, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("length", "frames"),
    [
        (Length(), 256),
        (Length(2, "bars"), 24),
        (Length(5, "beats"), 10),
        (Length(7, "frames"), 7),
        (Length(3, "seconds"), 24),
        (Length(0.001, "beats"), 1),
    ],
)
def test_lengths_in_frames(length: Length, frames: int) -> None:
    metre = (4, 4) if length == Length() else (6, 8)
    assert length.frames(resolution=4, tempo=120, metre=metre) == frames


def test_one_length_is_chosen() -> None:
    assert Length.of(bars=None, beats=3.0) == Length(3, "beats")
    assert Length.of(bars=None) == Length(16, "bars")
    with pytest.raises(
        UsageError, match="expected one of --bars, --beats, --frames, --seconds; found --beats, --frames"
    ):
        Length.of(beats=3, frames=2)
    with pytest.raises(UsageError, match="--frames: expected a length above 0 and below 1e9, found 0"):
        Length.of(frames=0)


def test_tempo_is_as_asked_else_that_of_frames_primer_or_corpus() -> None:
    facts, seconds = {"tempo": 90.0}, Layout.in_seconds(0.05)
    assert choose_tempo(100, seconds, PRIMER, facts) == 100
    assert choose_tempo(None, seconds, PRIMER, facts) == pytest.approx(seconds.tempo)
    assert choose_tempo(None, LAYOUT, PRIMER, facts) == pytest.approx(77, abs=0.01)
    assert choose_tempo(None, LAYOUT, None, facts) == 90
    assert choose_tempo(None, LAYOUT, None, {}) == 120
    assert [choose_tempo(None, LAYOUT, None, {"tempo": tempo}) for tempo in (1.0, 5000.0)] == [4, 1000]


def test_a_tempo_out_of_bounds_is_refused() -> None:
    check_tempo(None)
    check_tempo(120)
    with pytest.raises(UsageError, match="--tempo: expected 4 to 1000 quarter notes per minute, found 3"):
        check_tempo(3)


def test_metre_is_that_of_the_primer_or_the_corpus() -> None:
    assert choose_metre(PRIMER, {"metre": [2, 2]}) == (3, 4)
    assert choose_metre(None, {"metre": [2, 2]}) == (2, 2)
    assert choose_metre(None, {"metre": None}) == (4, 4)
