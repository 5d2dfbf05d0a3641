"""Text shows the notes and counts it is given, and fits."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import Layout
from musicrnn.plots.terminal import bar_lines, histogram_line, pitch_lines, roll_text
from tests.plots.pictures import roll_of


def test_a_small_roll() -> None:
    roll = roll_of(4, (0, 2, 60), (2, 4, 60), (1, 3, 64), (3, 4, 67), layout=Layout(2, 60, 71))
    assert roll_text(roll, 24, 20).splitlines() == [
        "     │",
        "     │      ▀▀",
        "     │  ▄▄▄▄",
        "     │",
        "  C4 ┤▄▄▄▖▄▄▄▄",
        "     │",
        "      0   1",
    ]


def test_a_tall_roll_is_shown_in_braille() -> None:
    roll = roll_of(80, (0, 80, 60), (0, 40, 61), (0, 80, 83), layout=Layout(4, 60, 83))
    assert roll_text(roll, 46, 7).splitlines() == [
        "     │" + "⠉" * 40,
        "     │",
        "  C5 ┤",
        "     │",
        "     │",
        "  C4 ┤" + "⣤" * 20 + "⣀" * 20,
        "      0       4       8       12      16",
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 400), st.integers(24, 120), st.integers(4, 40), st.integers(0, 127), st.integers(0, 127)
)
def test_rolls_fit(frames: int, width: int, height: int, pitch: int, other: int) -> None:
    roll = roll_of(frames, (0, 1, pitch), (frames - 1, frames, other), layout=Layout(4, 0, 127))
    lines = roll_text(roll, width, height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


@settings(max_examples=25, deadline=None)
@given(st.integers(100, 2999), st.integers(21, 108))
def test_no_note_is_lost_in_a_long_and_wide_roll(frame: int, pitch: int) -> None:
    roll = roll_of(3000, (0, 1, 21), (0, 1, 108), (frame, frame + 1, pitch))
    after_the_first_column = [line[7:] for line in roll_text(roll, 60, 12).splitlines()[:-1]]
    assert len("".join(after_the_first_column).replace(" ", "")) == 1


def test_histogram_in_a_line() -> None:
    line = histogram_line([8, 0, 4, 0, 1, 0.01, 0, 7, 0, 0, 0, 2])
    assert line == "C █  C#    D ▄  D#    E ▁  F ▁  F#    G ▇  G#    A    A#    B ▂"
    assert "█" not in histogram_line(np.zeros(12))


@pytest.mark.parametrize("histogram", [np.ones(11), -np.ones(12), np.full(12, np.nan)])
def test_other_arrays_are_no_histograms(histogram: np.ndarray) -> None:
    with pytest.raises(RollError, match="12 numbers of at least 0"):
        histogram_line(histogram)


def test_bars_in_characters() -> None:
    assert bar_lines([("C major", 1200), ("none", 300), ("A", 1), ("B", 0)], 24) == [
        "C major ██████████ 1,200",
        "none    ██▌          300",
        "A       ▏              1",
        "B                      0",
    ]
    assert bar_lines([("0", 1), ("12", 2)], 10, lambda count: f"{count}!") == ["0  ██   1!", "12 ████ 2!"]
    assert bar_lines([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.integers(0, 60))
def test_bars_fit_and_grow_with_the_count(counts: list[int], width: int) -> None:
    lines = bar_lines([("x", count) for count in counts], width)
    numbers = max(len(f"{count:,}") for count in counts)
    assert {len(line) for line in lines} == {max(width, len("x █ ") + numbers)}
    bars = [line.count("█") for line in lines]
    assert [bars[i] for i in np.argsort(counts, kind="stable")] == sorted(bars)
    assert [bool(re.search("[█▏▎▍▌▋▊▉]", line)) for line in lines] == [count > 0 for count in counts]


def test_pitches_in_characters() -> None:
    assert pitch_lines({58: 1, 60: 8, 64: 4, 72: 2}, 80) == ["▁ █   ▄       ▂", "  C4          C5"]


def test_many_pitches_share_characters() -> None:
    assert pitch_lines({48: 3, 49: 1, 60: 2, 72: 4}, 16) == ["█     ▄     █", "C3    C4    C5"]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.integers(0, 127), st.integers(1, 10**6), min_size=1, max_size=20),
    st.integers(1, 140),
)
def test_pitch_lines_fit_and_lose_no_pitch(pitches: dict[int, int], width: int) -> None:
    bars, names = pitch_lines(pitches, width)
    assert max(len(bars), len(names)) <= max(16, width)
    steps = (1, 2, 3, 4, 6, 12)
    step = next(n for n in steps if max(pitches) // n - min(pitches) // n < max(16, width))
    shown = {column + min(pitches) // step for column, bar in enumerate(bars) if bar != " "}
    assert shown == {pitch // step for pitch in pitches}
    assert set(bars) <= set(" ▁▂▃▄▅▆▇█") and "█" in bars
    for match in re.finditer(r"C(-?\d)", names):
        assert (match.start() + min(pitches) // step) * step == 12 * (int(match[1]) + 1)
