"""The space of a sweep: what a file may say, and the line that says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from musicrnn.errors import UsageError
from musicrnn.experiments.sweep.space import make_space, read_space
from musicrnn.training import Recipe

GOOD = """
learning_rate = { low = 1e-4, high = 1e-2, log = true }
hidden = { low = 32, high = 256, step = 32 }
cell = ["gru", "lstm"]
dropout = { low = 0, high = 0.5 }
tied = [true, false]
"""


def test_a_file_says_ranges_and_choices(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(GOOD)
    space = read_space(path, Recipe())
    assert space == {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "hidden": {"low": 32, "high": 256, "log": False, "step": 32},
        "cell": ["gru", "lstm"],
        "dropout": {"low": 0.0, "high": 0.5, "log": False},
        "tied": [True, False],
    }
    assert isinstance(space["dropout"]["low"], float)


def test_a_space_survives_json() -> None:
    space = make_space({"hidden": {"low": 2, "high": 8}, "context": [None, 3]}, Recipe(), "here")
    table = json.loads(json.dumps(space))
    assert table == space == make_space(table, Recipe(), "here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected settings to search, found none"),
        ("hiden = [3]", "expected settings among cell, .*; found 'hiden'"),
        ("hidden = 3", r"hidden: expected a list of values or { low = …, high = … }, found 3"),
        ("hidden = []", r"hidden: expected values that differ, found \[\]"),
        ("hidden = [8, 8]", r"hidden: expected values that differ, found \[8, 8\]"),
        ('hidden = [8, "many"]', "expected hidden to be int, found 'many'"),
        ("hidden = [0]", "hidden must be at least 1, got 0"),
        ("hidden = { low = 1.5, high = 3 }", "expected hidden to be int, found 1.5"),
        ("hidden = { low = 0, high = 3 }", "hidden must be at least 1, got 0"),
        ("hidden = { low = 4 }", "hidden: expected low and high, found no high"),
        ("hidden = { low = 4, high = 2 }", "hidden: expected low at most high, found 4 and 2"),
        (
            "hidden = { low = 2, high = 4, scale = 2 }",
            "hidden: expected low, high, log and step, found 'scale'",
        ),
        ("hidden = { low = 2, high = 4, step = 0.5 }", "hidden: expected step to be a whole number above 0"),
        (
            "dropout = { low = 0.0, high = 0.5, step = 0 }",
            "dropout: expected step to be a number above 0, found 0",
        ),
        ("dropout = { low = 0.0, high = 1.0 }", "dropout must be at least 0 and below 1, got 1.0"),
        (
            "dropout = { low = 0.0, high = 0.5, log = true }",
            "dropout: expected low above 0 .*, found low 0.0",
        ),
        ("learning_rate = { low = 1e-3, high = 1e-2, log = 1 }", "expected log to be true or false, found 1"),
        ("learning_rate = { low = 1e-3, high = inf }", "learning_rate must be above 0, got inf"),
        (
            "learning_rate = { low = 1e-3, high = 1e-2, log = true, step = 1e-3 }",
            "learning_rate: expected low above 0 and no step where log is true, found step 0.001",
        ),
        ('cell = { low = "gru", high = "lstm" }', "cell: expected a list of values, found a range"),
        ("tied = { low = false, high = true }", "tied: expected a list of values, found a range"),
        ('optimizer = ["adam", "lion"]', "optimizer must be one of adam, .*, got 'lion'"),
        ("hidden = [", "expected TOML"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as refusal:
        read_space(path, Recipe())
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


def test_values_are_checked_beside_the_base() -> None:
    table: dict[str, Any] = {"weight_noise": {"low": 0.0, "high": 0.1}}
    make_space(table, Recipe(), "here")
    with pytest.raises(UsageError, match="here: adaptive_weight_noise must start with weight_noise above 0"):
        make_space(table, Recipe.of(adaptive_weight_noise=True), "here")
