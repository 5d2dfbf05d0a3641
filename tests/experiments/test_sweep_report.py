"""What a sweep says at its end: ranks, table, picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from musicrnn.experiments.sweep.report import plot_trials, ranked, rows
from musicrnn.experiments.sweep.space import Choices, Range
from musicrnn.experiments.sweep.store import Trial

SPACE = {"learning_rate": Range(1e-3, 1e-1, log=True), "cell": Choices(("gru", None)), "hidden": Range(2, 8)}


def trial(number: int, state: str, nll: float | None, rate: float = 0.01, **others: Any) -> Trial:
    settings = {"learning_rate": rate, "cell": "gru", "hidden": 2 + number}
    return Trial(number, state, settings, Path(f"s/trial-{number:03d}"), nll, 3 if nll else 0, **others)


TRIALS = [
    trial(0, "failed", None, reason="the loss became nan"),
    trial(1, "complete", 8.5, 0.0123456),
    trial(2, "pruned", 7.5),
    trial(3, "complete", 7.25),
    trial(4, "complete", 900.0),
]


def test_the_best_comes_first_and_what_failed_last() -> None:
    assert [each.number for each in ranked(TRIALS)] == [3, 1, 4, 2, 0]


def test_a_searched_setting_of_the_name_of_a_column_keeps_its_value() -> None:
    searched = Trial(0, "complete", {"epochs": 30}, Path("s/trial-000"), 7.0, 12)
    assert rows([searched], {"epochs": Range(10, 50)})[0]["epochs"] == 30


@pytest.mark.parametrize("count", [1, 5])
def test_the_picture_has_a_panel_for_each_setting(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    figures = []
    drawn = Figure.savefig

    def keep(self: Figure, *arguments: Any, **others: Any) -> Any:
        figures.append(self)
        return drawn(self, *arguments, **others)

    monkeypatch.setattr(Figure, "savefig", keep)
    plot_trials(TRIALS[1 : 1 + count] + TRIALS[:1], SPACE, tmp_path / "sweep.png", "title")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    axes = [each for each in figures[0].axes if each.get_visible()]
    titles = [each.get_title(loc="left") for each in axes]
    assert titles == ["learning_rate", "cell", "hidden", "trial, and the best so far"]
    assert [each.get_xscale() for each in axes] == ["log", "linear", "linear", "linear"]
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["gru", "-"]
    if count == 5:
        assert axes[0].get_ylim()[1] < 20  # a trial that went astray doesn't flatten the others
