from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ablation
from musicrnn.corpus import Corpus
from musicrnn.training import Recipe


def test_only_techniques_that_a_recipe_uses_are_left_out() -> None:
    rows = ablation.recipes({"attention": 2, "weight_noise": 0.0, "dropout": 0.3})
    assert list(rows) == ["best", "without attention", "without dropout"]
    assert rows["without attention"] == Recipe.of(attention=0, weight_noise=0.0, dropout=0.3)


def test_finished_runs_are_not_trained_again(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=3, epochs=1)
    first = ablation.trained(corpus, recipe, tmp_path / "run")
    written = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    assert ablation.trained(corpus, recipe, tmp_path / "run") == first
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == written


@pytest.mark.parametrize(("values", "text"), [([1.0], "1.000"), ([1.0, 3.0], "2.000 ± 1.414")])
def test_spread(values: list[float], text: str) -> None:
    assert ablation.spread(values) == text
