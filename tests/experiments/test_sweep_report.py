"""The report of a sweep: ranks, table, picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from musicrnn.experiments.sweep.report import ranked, rows
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
