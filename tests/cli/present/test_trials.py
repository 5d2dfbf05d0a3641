"""The table of trials that a sweep prints."""

from __future__ import annotations

from pathlib import Path

from musicrnn.cli.present.trials import trial_table
from musicrnn.experiments.sweep.store import Trial


def trial(number: int, state: str, nll: float | None, rate: float = 0.01, reason: str = "") -> Trial:
    settings = {"learning_rate": rate, "cell": "gru", "hidden": 2 + number}
    return Trial(number, state, settings, Path("s"), nll, 3 if nll else 0, reason=reason)


def test_the_table_is_aligned_and_gives_the_reason_of_a_failure() -> None:
    trials = [
        trial(3, "complete", 7.25),
        trial(1, "complete", 8.5, 0.0123456),
        trial(4, "complete", 900.0),
        trial(2, "pruned", 7.5),
        trial(0, "failed", None, reason="the loss became nan"),
    ]
    assert trial_table(trials, ["learning_rate", "cell", "hidden"]).splitlines() == [
        "rank  trial  valid NLL  epochs  learning_rate  cell  hidden  state",
        "   1      3      7.250       3           0.01   gru       5  complete",
        "   2      1      8.500       3         0.0123   gru       3  complete",
        "   3      4    900.000       3           0.01   gru       6  complete",
        "   -      2      7.500       3           0.01   gru       4  pruned",
        "   -      0          -       0           0.01   gru       2  failed: the loss became nan",
    ]


def test_a_searched_setting_with_the_name_of_a_column_has_a_column_of_its_own() -> None:
    searched = Trial(0, "complete", {"epochs": 30}, Path("s"), 7.0, 12)
    head, line = trial_table([searched], ["epochs"]).splitlines()
    assert head.split() == ["rank", "trial", "valid", "NLL", "trained", "epochs", "state"]
    assert line.split() == ["1", "0", "7.000", "12", "30", "complete"]
