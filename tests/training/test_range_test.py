from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicrnn.corpus import Corpus
from musicrnn.errors import ModelError
from musicrnn.training import Recipe
from musicrnn.training.range_test import range_test


def test_it_finds_the_rates_that_help_and_leaves_no_run(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, batch_size=4)
    found = range_test(corpus, recipe, tmp_path, bounds=(1e-6, 100.0), updates=120)
    assert found.rates[0] == 1e-6 and found.rates == sorted(found.rates)
    assert 1e-4 < found.suggested <= found.lowest < 10
    assert found.nlls[found.rates.index(found.lowest)] < found.nlls[6] - 0.5
    assert json.loads((tmp_path / "range.json").read_text())["lowest"] == found.lowest
    assert {path.name for path in tmp_path.iterdir()} == {"range.json", "range.png"}


def test_a_loss_that_is_never_finite_is_an_error(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(cell="irnn", hidden=8, batch_size=1, clip_norm=0.0, optimizer="sgd")
    with pytest.raises(ModelError, match=r"expected a finite loss at a rate of 1e\+30, found none"):
        range_test(corpus, recipe, tmp_path, bounds=(1e30, 1e38), updates=30)
