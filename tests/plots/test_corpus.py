"""The page of a corpus shows the counts it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from musicrnn.music.pianoroll import Layout, PianoRoll
from musicrnn.plots.corpus import most_common, plot_corpus
from tests.plots.pictures import bars_in, texts_in


def plot(path: Path, **changes: Any) -> None:
    layout = Layout(4, 60, 71, "frame")
    frames = np.zeros((16, 12), np.uint8)
    frames[:8, 0] = frames[4:, 7] = 1
    facts: dict[str, Any] = {
        "title": "tiny: 3 pieces",
        "caption": ("Duplicates: none.", "Skipped: 2: 2 damaged."),
        "roll": ("one.mid", PianoRoll(frames, layout)),
        "document": {
            "pitch_histogram": changes.pop("pitches", {"60": 8, "67": 12}),
            "polyphony_histogram": dict(enumerate(changes.pop("voices", [0, 12, 4]))),
            "keys": changes.pop("keys", {"C major": 2, "none": 1}),
            "metres": changes.pop("metres", {"3/4": 3}),
        },
        "lengths": {"train": np.array([4.0, 9.0]), "test": np.array([4.0])},
    }
    plot_corpus(path=path, **{**facts, **changes})


def test_the_page_says_what_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "page.svg"
    plot(path)
    texts = texts_in(path)
    assert {"tiny: 3 pieces", "Duplicates: none.", "Skipped: 2: 2 damaged.", "one.mid"} <= set(texts)
    assert {"C major", "2", "none", "1", "3/4", "3", "train", "test"} <= set(texts)
    assert {"keys (pieces)", "metres (pieces)", "lengths (pieces)", "polyphony (% of frames)"} <= set(texts)
    assert "quarter notes" in texts and "seconds" not in texts
    assert bars_in(path) == [2]


def test_the_page_is_large_enough_to_read(tmp_path: Path) -> None:
    plot(tmp_path / "page.png")
    assert imread(tmp_path / "page.png").shape[:2] == (1376, 1600)


def test_lengths_may_be_in_seconds(tmp_path: Path) -> None:
    plot(tmp_path / "page.svg", unit="seconds")
    assert "seconds" in texts_in(tmp_path / "page.svg")


def test_same_page_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.svg" for name in ("one", "two")]
    for path in paths:
        plot(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"pitches": {}, "voices": [16], "keys": {"none": 1}},
        {"pitches": {"0": 16, "127": 16}, "voices": [0] * 128 + [16]},
        {"lengths": {"train": np.array([7.0])}},
        {"lengths": {"train": np.full(50, 8.0), "valid": np.array([1e6])}},
        {"keys": {f"key {number}": 30 - number for number in range(25)}},
        {"title": "50% of $^$ & 音楽", "caption": ["$^$ " * 100], "metres": {"$^$": 1}, "keys": {"$": 1}},
    ],
    ids=["silence", "extremes", "one piece", "an outlier", "all keys", "names"],
)
def test_any_corpus_can_be_plotted(tmp_path: Path, changes: dict[str, Any]) -> None:
    plot(tmp_path / "page.svg", **changes)
    assert any("keys" in text for text in texts_in(tmp_path / "page.svg"))


def test_the_rest_is_summed() -> None:
    counts = {"a": 1, "b": 9, "c": 3, "d": 2}
    assert most_common(counts, 4) == [("b", 9), ("c", 3), ("d", 2), ("a", 1)]
    assert most_common(counts, 3) == [("b", 9), ("c", 3), ("2 others", 3)]
