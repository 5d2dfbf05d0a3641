"""Pictures show the notes that are there, come out the same each time, and whole or not at all."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from musicrnn.errors import FileError, RollError
from musicrnn.music.draw import (
    MAX_PANELS,
    Curves,
    draw_curves,
    draw_rolls,
    draw_runs,
)
from musicrnn.music.pianoroll import Layout, PianoRoll

SVG = "{http://www.w3.org/2000/svg}"


def roll_of(frames: int, *notes: tuple[int, int, int], layout: Layout | None = None) -> PianoRoll:
    """A roll of (first frame, frame after the last, pitch)."""
    layout = layout or Layout()
    cells = np.zeros((frames, layout.width), np.uint8)
    for start, end, pitch in notes:
        cells[start:end, pitch - layout.low] = 1
        cells[start, layout.pitches + pitch - layout.low] = 1
    return PianoRoll(cells, layout)


CHORD = roll_of(16, (0, 16, 60), (0, 8, 64), (8, 16, 64), (4, 12, 67))


def bars_in(path: Path) -> list[int]:
    """How many bars each panel of an SVG picture has."""
    groups = ElementTree.parse(path).iter(f"{SVG}g")
    return [len(list(group.iter(f"{SVG}path"))) for group in groups if group.get("id") == "notes"]


def texts_in(path: Path) -> list[str]:
    """The texts of an SVG picture, which matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text())


def coloured_runs(row: np.ndarray) -> int:
    """How many stretches of colour, neither grey nor white, a row of pixels has."""
    return sum(1 for coloured, _ in groupby(np.ptp(row[:, :3], axis=1) > 0.3) if coloured)


def test_two_panels_make_a_picture_for_a_readme(tmp_path: Path) -> None:
    draw_rolls([("real", CHORD), ("sampled", CHORD)], tmp_path / "rolls.png")
    assert imread(tmp_path / "rolls.png").shape[:2] == (800, 1600)


def test_each_note_is_a_bar(tmp_path: Path) -> None:
    path = tmp_path / "rolls.svg"
    draw_rolls([("a", CHORD), ("b", roll_of(16, (0, 4, 72)))], path)
    assert bars_in(path) == [4, 1]


def test_a_repeated_note_looks_different_from_a_held_one(tmp_path: Path) -> None:
    held, repeated, trembling = (
        [(8, 24, 72)],
        [(8, 16, 66), (16, 24, 66)],
        [(i, i + 1, 60) for i in range(8, 24)],
    )
    draw_rolls([("", roll_of(64, *held, *repeated, *trembling))], tmp_path / "roll.png")
    bars = [coloured_runs(row) for row in imread(tmp_path / "roll.png")]
    assert [count for count, _ in groupby(bars) if count] == [1, 2, 16]


def test_panels_share_the_pitches_in_use(tmp_path: Path) -> None:
    path = tmp_path / "rolls.svg"
    draw_rolls([("low", roll_of(4, (0, 4, 40))), ("high", roll_of(4, (0, 4, 80)))], path)
    assert [text for text in texts_in(path) if re.fullmatch(r"C\d", text)] == ["C3", "C4", "C5"] * 2


def test_c4_is_pitch_60(tmp_path: Path) -> None:
    path = tmp_path / "roll.svg"
    draw_rolls([("", roll_of(4, (0, 4, 60), (0, 4, 84)))], path)
    assert [text for text in texts_in(path) if re.fullmatch(r"C\d", text)] == ["C4", "C5", "C6"]


def test_time_is_in_quarter_notes(tmp_path: Path) -> None:
    path = tmp_path / "roll.svg"
    draw_rolls([("", roll_of(32, (0, 4, 60)))], path)  # 4 frames per quarter note
    texts = texts_in(path)
    assert "quarter notes" in texts
    assert [text for text in texts if text.isdigit()] == list("012345678")


@pytest.mark.parametrize(
    "roll", [roll_of(1), roll_of(3, (0, 1, 21), (1, 2, 108))], ids=["silence", "extremes"]
)
def test_draws_the_smallest_and_the_widest(tmp_path: Path, roll: PianoRoll) -> None:
    draw_rolls([("", roll)], tmp_path / "roll.svg")
    assert bars_in(tmp_path / "roll.svg") == [len(roll.notes())]


def test_titles_are_plain_text_in_any_script(tmp_path: Path) -> None:
    path = tmp_path / "rolls.svg"
    draw_rolls([("50% of $^$ & 音楽", CHORD), ("n" * 300, CHORD)], path)
    assert "n" * 99 + "…" in texts_in(path)
    assert any("$^$" in text for text in texts_in(path))


def test_names_of_curves_are_plain_text(tmp_path: Path) -> None:
    path, name = tmp_path / "curves.svg", "$^$"
    draw_curves({name: [2.0, 1.0]}, path, x_label=name, y_label=name, marks={name: 1}, title=name)
    assert texts_in(path).count(name) == 5


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_same_music_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        draw_rolls([("piece", CHORD)], path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not re.search(rb"CreationDate|<dc:date>|Matplotlib v", paths[0].read_bytes())


@pytest.mark.parametrize(("name", "found"), [("rolls.gif", "'.gif'"), ("rolls", "'no suffix'")])
def test_names_the_formats_it_can_write(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(FileError, match=rf"{name}: expected .*\.png, \.svg, \.pdf, found {found}"):
        draw_rolls([("", CHORD)], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_suffixes_in_capitals_are_known(tmp_path: Path) -> None:
    draw_rolls([("", CHORD)], tmp_path / "ROLL.PNG")
    assert (tmp_path / "ROLL.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_failing_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "roll.svg"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("musicrnn.files.os.fsync", full)
    with pytest.raises(FileError, match="No space left"):
        draw_rolls([("", CHORD)], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("count", [0, MAX_PANELS + 1])
def test_refuses_no_panels_and_too_many(tmp_path: Path, count: int) -> None:
    with pytest.raises(RollError, match=f"1 to {MAX_PANELS} piano rolls in a picture, found {count}"):
        draw_rolls([("", CHORD)] * count, tmp_path / "rolls.png")


def test_curves_with_the_best_epoch_marked(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    draw_curves({"train": [9.0, 7.0, 6.0], "valid": [9.5, 8.0, 8.2]}, path, marks={"best: 2": 1}, title="GRU")
    texts = texts_in(path)
    assert {"train", "valid", "best: 2", "GRU", "epoch", "NLL per frame (nats)"} <= set(texts)
    assert [text for text in texts if text in "123"] == ["1", "2", "3"]


def test_a_curve_goes_on_across_values_that_are_not_finite(tmp_path: Path) -> None:
    draw_curves({"a": [3.0, float("nan"), float("inf"), 1.0]}, tmp_path / "curves.png")
    below_the_legend = imread(tmp_path / "curves.png")[50:]
    assert [count for count, _ in groupby(coloured_runs(row) for row in below_the_legend)] == [0, 1, 0]


def test_the_mark_stands_at_its_value(tmp_path: Path) -> None:
    def marked_column(index: int) -> int:
        draw_curves({"a": [1.0] * 9}, tmp_path / "curves.png", marks={"": index})
        height = np.ptp(imread(tmp_path / "curves.png")[..., :3], axis=2) > 0.3
        return int(height[50:].sum(axis=0).argmax())  # the dot is taller than the line

    first, middle, last = marked_column(0), marked_column(4), marked_column(8)
    assert middle == pytest.approx((first + last) / 2, abs=2)
    assert last - first > 800


def test_a_curve_without_a_point_is_left_out(tmp_path: Path) -> None:
    draw_curves({"train": [1.0], "validation": [float("nan")]}, tmp_path / "curves.svg")
    assert "validation" not in texts_in(tmp_path / "curves.svg")


@pytest.mark.parametrize("curves", [{}, {"a": []}, {"a": [float("nan")]}])
def test_refuses_curves_without_a_point(tmp_path: Path, curves: dict[str, list[float]]) -> None:
    with pytest.raises(RollError, match="at least one curve with a finite value"):
        draw_curves(curves, tmp_path / "curves.png")


def test_one_epoch_is_a_point(tmp_path: Path) -> None:
    draw_curves({"a": [3.0]}, tmp_path / "curves.png", marks={})
    assert any(coloured_runs(row) for row in imread(tmp_path / "curves.png")[150:])


NAN = float("nan")


def marks_in(path: Path) -> list[tuple[str, float, float]]:
    """Colour and place, right and down, of the large marks on the axes of an SVG picture."""
    axes = next(g for g in ElementTree.parse(path).iter(f"{SVG}g") if g.get("id") == "axes_1")
    lines = [group for group in axes if group.get("id", "").startswith("line2d")]
    marks = [use for line in lines for use in line.iter(f"{SVG}use")]
    return [
        (
            re.findall("fill: (#\\w+)", mark.get("style", ""))[0],
            float(mark.get("x", 0)),
            float(mark.get("y", 0)),
        )
        for mark in marks
    ]


def test_runs_have_a_colour_a_name_and_a_mark_at_the_best_epoch(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    runs = [Curves("_a", [3, 2, 1], [3, 1, 2]), Curves("$b$", [3, 2, 1, 0], [3, 3, 2.5, 1.5])]
    draw_runs(runs, path, title="two")
    texts = texts_in(path)
    legend = ["validation", "train", "_a: 1.000, epoch 2", "$b$: 1.500, epoch 4"]
    assert [text for text in texts if text in legend] == legend
    assert {"two", "epoch", "NLL per frame (nats)"} <= set(texts)
    (first, x, y), (second, later, higher) = marks_in(path)
    assert first != second and x < later and y > higher


def test_ends_of_runs_are_told_apart_though_they_begin_far_above(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    steep = [100.0, 50.0] + [6.0 - epoch / 20 for epoch in range(20)]
    draw_runs([Curves("a", steep, steep), Curves("b", steep, [nll + 0.5 for nll in steep])], path)
    numbers = [float(text) for text in texts_in(path) if re.fullmatch(r"\d\.\d", text)]
    assert min(numbers) >= 4.9 and max(numbers) <= 6.6
    draw_runs([Curves("a", steep, steep), Curves("b", [], [90.0, 80.0])], path)
    (_, _, low), (_, _, high) = marks_in(path)
    assert high < low - 100


def test_runs_of_no_epoch_but_one_and_with_gaps_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    draw_runs([Curves("a", [2.0], [2.0]), Curves("b", [NAN, 1.0], [2.0, NAN]), Curves("c", [], [3.0])], path)
    assert {"a: 2.000, epoch 1", "b: 2.000, epoch 1", "c: 3.000, epoch 1"} <= set(texts_in(path))


def test_more_runs_than_colours_have_other_marks(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    draw_runs([Curves(str(n), [n + 1.0, n], [n + 1.0, n]) for n in range(12)], path)
    colours = [colour for colour, _, _ in marks_in(path)]
    assert len(set(colours)) == 10 and colours[10:] == colours[:2]
    assert len([text for text in texts_in(path) if "epoch 2" in text]) == 12


@pytest.mark.parametrize("runs", [[], [Curves("a", [1.0], [])], [Curves("a", [1.0], [NAN])]])
def test_refuses_runs_without_a_point(tmp_path: Path, runs: list[Curves]) -> None:
    with pytest.raises(RollError, match="runs with a finite value in validation"):
        draw_runs(runs, tmp_path / "runs.png")


def test_settings_of_others_are_left_alone(tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 33.0, "svg.hashsalt": "mine"}):
        draw_rolls([("", CHORD)], tmp_path / "roll.svg")
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["svg.hashsalt"]) == (33.0, "mine")


def test_music_imports_neither_torch_nor_matplotlib() -> None:
    program = (
        "import sys, musicrnn.music.draw, musicrnn.music.render, musicrnn.music.statistics\n"
        "print([name for name in ('torch', 'matplotlib', 'pretty_midi', 'symusic') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
