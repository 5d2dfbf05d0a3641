from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicrnn.corpus import Corpus
from musicrnn.experiments import chung2014
from musicrnn.training.loop import Silent


def test_the_layers_have_the_sizes_of_table_1() -> None:
    for size in chung2014.TABLE_1:
        assert size.parameters / 1000 == pytest.approx(size.paper, abs=0.09)
    assert chung2014.UNITS == {"lstm": 36, "gru": 46, "tanh": 100}


def test_finished_runs_are_used_again_and_every_table_is_written(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsb = Corpus(corpus.directory, {**corpus.head, "name": "jsb"}, corpus.index)
    short = chung2014.Recipe(hidden=4, epochs=1, batch_size=4)
    monkeypatch.setattr(chung2014, "recipe", lambda cell: short)
    trained: list[Path] = []

    def watcher(_: chung2014.Recipe, run: Path) -> Silent:
        trained.append(run)
        return Silent()

    first = chung2014.reproduce([jsb], ["gru"], tmp_path, watcher)
    second = chung2014.reproduce([jsb], ["gru", "tanh"], tmp_path, watcher)
    assert [run.name for run in trained] == ["jsb-gru", "jsb-tanh"]
    assert second[0] == first[0] and (first[0].paper_train, first[0].paper_test) == (6.94, 8.54)
    table = json.loads((tmp_path / "table2.json").read_text())
    assert [row["test"] for row in table] == [row.test for row in second]
    assert f"| jsb | gru 46 | 6.94 | {first[0].train:.2f} |" in (tmp_path / "README.md").read_text()
    assert len((tmp_path / "table2.csv").read_text().splitlines()) == 3


def test_the_recipe_is_the_papers() -> None:
    lstm = chung2014.recipe("lstm")
    assert (lstm.hidden, lstm.peepholes, lstm.weight_noise, lstm.clip_norm) == (36, True, 0.075, 1.0)
    assert not chung2014.recipe("gru").peepholes
    assert chung2014.recipe("gru").input_noise == 0
