"""Charts show the counts they are given: in characters, and on the page of a corpus."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from musicrnn.errors import FileError
from musicrnn.music.charts import Overview, bar_lines, draw_overview, most_common, pitch_lines
from musicrnn.music.pianoroll import Layout, PianoRoll

SVG = "{http://www.w3.org/2000/svg}"
EIGHTHS = " ▁▂▃▄▅▆▇█"


def overview(**changes: Any) -> Overview:
    layout = Layout(4, 60, 71, "frame")
    frames = np.zeros((16, 12), np.uint8)
    frames[:8, 0] = frames[4:, 7] = 1
    facts: dict[str, Any] = {
        "title": "tiny: 3 pieces",
        "caption": ("Duplicates: none.", "Skipped: 2: 2 damaged."),
        "roll": ("one.mid", PianoRoll(frames, layout)),
        "pitches": {60: 8, 67: 12},
        "voices": [0, 12, 4],
        "keys": {"C major": 2, "none": 1},
        "metres": {"3/4": 3},
        "lengths": {"train": np.array([4.0, 9.0]), "test": np.array([4.0])},
    }
    return Overview(**{**facts, **changes})


def texts_in(path: Path) -> list[str]:
    """The texts of an SVG picture, which matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text())


def test_the_page_says_what_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "page.svg"
    draw_overview(overview(), path)
    texts = texts_in(path)
    assert {"tiny: 3 pieces", "Duplicates: none.", "Skipped: 2: 2 damaged.", "one.mid"} <= set(texts)
    assert {"C major", "2", "none", "1", "3/4", "3", "train", "test"} <= set(texts)
    assert {"keys (pieces)", "metres (pieces)", "lengths (pieces)", "polyphony (% of frames)"} <= set(texts)
    assert "quarter notes" in texts and "seconds" not in texts
    groups = ElementTree.parse(path).iter(f"{SVG}g")
    assert [len(list(group.iter(f"{SVG}path"))) for group in groups if group.get("id") == "notes"] == [2]


def test_the_page_is_large_enough_to_read(tmp_path: Path) -> None:
    draw_overview(overview(), tmp_path / "page.png")
    assert imread(tmp_path / "page.png").shape[:2] == (1376, 1600)


def test_lengths_may_be_in_seconds(tmp_path: Path) -> None:
    draw_overview(overview(unit="seconds"), tmp_path / "page.svg")
    assert "seconds" in texts_in(tmp_path / "page.svg")


def test_same_page_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.svg" for name in ("one", "two")]
    for path in paths:
        draw_overview(overview(), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"pitches": {}, "voices": [16], "keys": {"none": 1}},
        {"pitches": {0: 16, 127: 16}, "voices": [0] * 128 + [16]},
        {"lengths": {"train": np.array([7.0])}},
        {"lengths": {"train": np.full(50, 8.0), "valid": np.array([1e6])}},
        {"keys": {f"key {number}": 30 - number for number in range(25)}},
        {"title": "50% of $^$ & 音楽", "caption": ["$^$ " * 100], "metres": {"$^$": 1}, "keys": {"$": 1}},
    ],
    ids=["silence", "extremes", "one piece", "an outlier", "all keys", "names"],
)
def test_any_corpus_can_be_drawn(tmp_path: Path, changes: dict[str, Any]) -> None:
    draw_overview(overview(**changes), tmp_path / "page.svg")
    assert any("keys" in text for text in texts_in(tmp_path / "page.svg"))


def test_names_the_formats_it_can_write(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"page.gif: expected .*\.png, \.svg, \.pdf, found '.gif'"):
        draw_overview(overview(), tmp_path / "page.gif")


def test_the_rest_is_summed() -> None:
    counts = {"a": 1, "b": 9, "c": 3, "d": 2}
    assert most_common(counts, 4) == [("b", 9), ("c", 3), ("d", 2), ("a", 1)]
    assert most_common(counts, 3) == [("b", 9), ("c", 3), ("2 others", 3)]


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
    drawn = {column + min(pitches) // step for column, bar in enumerate(bars) if bar != " "}
    assert drawn == {pitch // step for pitch in pitches}
    assert set(bars) <= set(EIGHTHS) and "█" in bars
    for match in re.finditer(r"C(-?\d)", names):
        assert (match.start() + min(pitches) // step) * step == 12 * (int(match[1]) + 1)


def test_charts_import_no_matplotlib() -> None:
    program = "import sys, musicrnn.music.charts; print('matplotlib' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
