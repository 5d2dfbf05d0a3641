"""The plots of likelihood profiles show what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from musicrnn.errors import FileError, RollError
from musicrnn.plots.likelihood import LikelihoodProfile, plot_profiles
from tests.plots.pictures import texts_in


def model(**changes: Any) -> LikelihoodProfile:
    facts: dict[str, Any] = {
        "name": "models/one",
        "low": 58,
        "pitches": np.array([0.0, 0.1, 0.5, 0.2, 0.0]),
        "positions": np.array([[1, 1, 2.0], [2, 2, 1.0], [3, 6, 0.7]]),
        "reliability": np.array([[0.02, 0.01, 90], [0.45, 0.5, 10], [np.nan, np.nan, 0]]),
        "nll_per_frame": 0.8,
    }
    return LikelihoodProfile(**{**facts, **changes})


def test_all_three_panels_are_there(tmp_path: Path) -> None:
    path = tmp_path / "one.svg"
    plot_profiles([model()], path, "models/one on tiny")
    texts = texts_in(path)
    assert {
        "models/one on tiny",
        "NLL per pitch (nats per frame)",
        "NLL per position (nats per frame)",
        "reliability (observed frequency)",
        "C4",
    } <= set(texts)
    assert not any("nats per frame" in text and "models/one:" in text for text in texts), "no legend for one"


def test_two_models_are_distinguished(tmp_path: Path) -> None:
    plot_profiles([model(), model(name="m$a$", nll_per_frame=0.91)], tmp_path / "two.svg")
    assert {"models/one: 0.800 nats per frame", "m$a$: 0.910 nats per frame"} <= set(
        texts_in(tmp_path / "two.svg")
    )


def test_same_figures_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        plot_profiles([model()], tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_it_is_large_enough_to_read(tmp_path: Path) -> None:
    plot_profiles([model(pitches=np.zeros(5))], tmp_path / "one.png")
    assert imread(tmp_path / "one.png").shape[:2] == (1056, 1600)


def test_no_model_no_frames_no_picture(tmp_path: Path) -> None:
    empty = model(positions=np.zeros((0, 3)))
    for models in ([], [empty]):
        with pytest.raises(RollError, match="expected models with counted frames to plot"):
            plot_profiles(models, tmp_path / "x.png")
    with pytest.raises(FileError, match=r"x.gif: expected a picture named .png"):
        plot_profiles([model()], tmp_path / "x.gif")
    assert list(tmp_path.iterdir()) == []
