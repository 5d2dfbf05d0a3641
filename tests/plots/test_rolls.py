"""Piano rolls show the notes that are there."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest
from matplotlib.image import imread

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import PianoRoll
from musicrnn.plots.rolls import MAX_PANELS, plot_rolls
from tests.plots.pictures import CHORD, bars_in, coloured_runs, roll_of, texts_in


def test_two_panels_make_a_picture_for_a_readme(tmp_path: Path) -> None:
    plot_rolls([("real", CHORD), ("sampled", CHORD)], tmp_path / "rolls.png")
    assert imread(tmp_path / "rolls.png").shape[:2] == (800, 1600)


def test_each_note_is_a_bar(tmp_path: Path) -> None:
    path = tmp_path / "rolls.svg"
    plot_rolls([("a", CHORD), ("b", roll_of(16, (0, 4, 72)))], path)
    assert bars_in(path) == [4, 1]


def test_a_repeated_note_looks_different_from_a_held_one(tmp_path: Path) -> None:
    held, repeated, trembling = (
        [(8, 24, 72)],
        [(8, 16, 66), (16, 24, 66)],
        [(i, i + 1, 60) for i in range(8, 24)],
    )
    plot_rolls([("", roll_of(64, *held, *repeated, *trembling))], tmp_path / "roll.png")
    bars = [coloured_runs(row) for row in imread(tmp_path / "roll.png")]
    assert [count for count, _ in groupby(bars) if count] == [1, 2, 16]


def test_panels_share_the_pitches_in_use(tmp_path: Path) -> None:
    path = tmp_path / "rolls.svg"
    plot_rolls([("low", roll_of(4, (0, 4, 40))), ("high", roll_of(4, (0, 4, 80)))], path)
    assert [text for text in texts_in(path) if re.fullmatch(r"C\d", text)] == ["C3", "C4", "C5"] * 2


def test_c4_is_pitch_60(tmp_path: Path) -> None:
    path = tmp_path / "roll.svg"
    plot_rolls([("", roll_of(4, (0, 4, 60), (0, 4, 84)))], path)
    assert [text for text in texts_in(path) if re.fullmatch(r"C\d", text)] == ["C4", "C5", "C6"]


def test_time_is_in_quarter_notes(tmp_path: Path) -> None:
    path = tmp_path / "roll.svg"
    plot_rolls([("", roll_of(32, (0, 4, 60)))], path)  # 4 frames per quarter note
    texts = texts_in(path)
    assert "quarter notes" in texts
    assert [text for text in texts if text.isdigit()] == list("012345678")


@pytest.mark.parametrize(
    "roll", [roll_of(1), roll_of(3, (0, 1, 21), (1, 2, 108))], ids=["silence", "extremes"]
)
def test_plots_the_smallest_and_the_widest(tmp_path: Path, roll: PianoRoll) -> None:
    plot_rolls([("", roll)], tmp_path / "roll.svg")
    assert bars_in(tmp_path / "roll.svg") == [len(roll.notes())]


def test_titles_are_plain_text_in_any_script(tmp_path: Path) -> None:
    path = tmp_path / "rolls.svg"
    plot_rolls([("50% of $^$ & 音楽", CHORD), ("n" * 300, CHORD)], path)
    assert "n" * 99 + "…" in texts_in(path)
    assert any("$^$" in text for text in texts_in(path))


@pytest.mark.parametrize("count", [0, MAX_PANELS + 1])
def test_refuses_no_panels_and_too_many(tmp_path: Path, count: int) -> None:
    with pytest.raises(RollError, match=f"1 to {MAX_PANELS} piano rolls in a picture, found {count}"):
        plot_rolls([("", CHORD)] * count, tmp_path / "rolls.png")
