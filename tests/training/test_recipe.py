from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicrnn.errors import UsageError
from musicrnn.training import Recipe, read_settings


def test_settings_come_from_toml_and_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('cell = "lstm"\npeepholes = true\ndropout = 0\n')
    assert read_settings(tmp_path / "a.toml") == {"cell": "lstm", "peepholes": True, "dropout": 0.0}
    recipe = Recipe(cell="tanh", hidden=7, learning_rate=0.1)
    (tmp_path / "config.json").write_text(json.dumps({"training": recipe.to_dict()}))
    assert Recipe(**read_settings(tmp_path / "config.json")) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell = ", "a.toml: expected TOML"),
        ("cel = 'gru'", "a.toml: expected settings among cell, hidden, .* found 'cel'"),
        ("hidden = 1.5", "a.toml: expected hidden to be int, found 1.5"),
        ("hidden = true", "a.toml: expected hidden to be int, found True"),
        ("peepholes = 1", "a.toml: expected peepholes to be bool, found 1"),
        ("learning_rate = 'fast'", "a.toml: expected learning_rate to be float, found 'fast'"),
    ],
)
def test_senseless_settings_are_named_with_their_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_settings(tmp_path / "a.toml")
