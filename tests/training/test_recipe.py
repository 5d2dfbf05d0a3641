from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from musicrnn.errors import UsageError
from musicrnn.training import Recipe, read_settings, read_shipped
from musicrnn.training.recipe import SETTINGS, read_corpus


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "sgd2"}, "optimizer must be one of adam, adamw, rmsprop, sgd, got 'sgd2'"),
        ({"schedule": "steps"}, "schedule must be one of plateau, constant, linear, cosine, got 'steps'"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"weight_noise": -0.1}, "weight_noise must be at least 0, got -0.1"),
        ({"weight_noise": float("inf")}, "weight_noise must be at least 0, got inf"),
        ({"seed": 2**32}, "seed must be at least 0 and below 4294967296, got 4294967296"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"input_noise": 0.6}, "input_noise must be at least 0 and at most 0.5, got 0.6"),
        ({"transpose": "5"}, "transpose must be LOW:HIGH, such as -5:6, got '5'"),
        ({"transpose": "6:-5"}, "transpose must be LOW:HIGH with LOW at most HIGH, got 6:-5"),
        ({"adaptive_weight_noise": True, "weight_noise": 0.0}, "must start with weight_noise above 0, got 0"),
    ],
)
def test_invalid_recipes_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        Recipe.of(**settings)


def test_every_setting_says_what_it_is_and_its_default_is_allowed() -> None:
    recipe = Recipe()
    for name, setting in SETTINGS.items():
        assert setting.text.endswith(".") and recipe.to_dict()[name] == setting.default
    assert SETTINGS["until"].type is float


def test_what_depends_on_other_settings() -> None:
    assert [Recipe.of(optimizer=name).initial_rate for name in ("adam", "sgd")] == [0.01, 0.1]
    assert [Recipe.of(optimizer=name).square_decay for name in ("adamw", "rmsprop")] == [0.999, 0.95]
    assert (Recipe.of(learning_rate=0.5).initial_rate, Recipe.of(decay=0.5).square_decay) == (0.5, 0.5)
    assert Recipe.of(transpose="-5:+6").semitones == (-5, 6)
    assert [Recipe.of(transpose="-1:1").semitones_in(epoch) for epoch in (0, 99)] == [(-1, 1)] * 2
    some = Recipe.of(transpose="-1:1", transpose_epochs=2)
    assert [some.semitones_in(epoch) for epoch in (0, 1, 2)] == [(-1, 1), (-1, 1), (0, 0)]


def test_settings_come_from_toml_and_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('cell = "lstm"\npeepholes = true\ndropout = 0\n')
    assert read_settings(tmp_path / "a.toml") == {"cell": "lstm", "peepholes": True, "dropout": 0.0}
    recipe = Recipe.of(cell="tanh", hidden=7, learning_rate=0.1)
    (tmp_path / "config.json").write_text(json.dumps({"training": recipe.to_dict()}))
    assert Recipe.of(**read_settings(tmp_path / "config.json")) == recipe


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
def test_invalid_settings_are_reported_with_their_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_settings(tmp_path / "a.toml")


@pytest.mark.parametrize("corpus", ["jsb", "nottingham", "musedata", "piano-midi"])
def test_shipped_recipes_are_recipes(corpus: str) -> None:
    settings = read_shipped("best", corpus)
    assert settings["attention"] and Recipe.of(**settings).to_dict().items() >= settings.items()


@pytest.mark.parametrize(("name", "corpus"), [("best", "mine"), ("worst", "jsb")])
def test_a_recipe_that_does_not_ship_is_refused(name: str, corpus: str) -> None:
    expected = f"--recipe {name}: expected best for jsb, .*; found no such recipe for {corpus}"
    with pytest.raises(UsageError, match=expected):
        read_shipped(name, corpus)


def test_the_corpus_of_a_run_is_in_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"data": {"directory": "data/prepared/jsb"}}')
    assert read_corpus(tmp_path / "config.json") == Path("data/prepared/jsb")
    (tmp_path / "a.toml").write_text("epochs = 3\n")
    assert read_corpus(tmp_path / "a.toml") is None
