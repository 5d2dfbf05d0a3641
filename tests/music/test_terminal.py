from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import Layout
from musicrnn.music.terminal import histogram_line, terminal_roll
from tests.music.test_draw import roll_of


def test_terminal_drawing_of_a_small_roll() -> None:
    roll = roll_of(4, (0, 2, 60), (2, 4, 60), (1, 3, 64), (3, 4, 67), layout=Layout(2, 60, 71))
    assert terminal_roll(roll, 24, 20).splitlines() == [
        "     │",
        "     │      ▀▀",
        "     │  ▄▄▄▄",
        "     │",
        "  C4 ┤▄▄▄▖▄▄▄▄",
        "     │",
        "      0   1",
    ]


def test_a_tall_roll_is_drawn_in_braille() -> None:
    roll = roll_of(80, (0, 80, 60), (0, 40, 61), (0, 80, 83), layout=Layout(4, 60, 83))
    assert terminal_roll(roll, 46, 7).splitlines() == [
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
def test_terminal_drawings_fit(frames: int, width: int, height: int, pitch: int, other: int) -> None:
    roll = roll_of(frames, (0, 1, pitch), (frames - 1, frames, other), layout=Layout(4, 0, 127))
    lines = terminal_roll(roll, width, height).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


@settings(max_examples=25, deadline=None)
@given(st.integers(100, 2999), st.integers(21, 108))
def test_no_note_is_lost_in_a_long_and_wide_roll(frame: int, pitch: int) -> None:
    roll = roll_of(3000, (0, 1, 21), (0, 1, 108), (frame, frame + 1, pitch))
    after_the_first_column = [line[7:] for line in terminal_roll(roll, 60, 12).splitlines()[:-1]]
    assert len("".join(after_the_first_column).replace(" ", "")) == 1


def test_histogram_in_a_line() -> None:
    line = histogram_line([8, 0, 4, 0, 1, 0.01, 0, 7, 0, 0, 0, 2])
    assert line == "C █  C#    D ▄  D#    E ▁  F ▁  F#    G ▇  G#    A    A#    B ▂"
    assert "█" not in histogram_line(np.zeros(12))


@pytest.mark.parametrize("histogram", [np.ones(11), -np.ones(12), np.full(12, np.nan)])
def test_refuses_what_is_no_histogram(histogram: np.ndarray) -> None:
    with pytest.raises(RollError, match="12 numbers of at least 0"):
        histogram_line(histogram)
