"""Which folder a training may write to, and the settings that a resumed run continues with."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from musicrnn.corpus import Corpus
from musicrnn.errors import ModelError, UsageError
from musicrnn.training import Recipe
from musicrnn.training.run import (
    STATE,
    checked_recipe,
    finished_runs,
    network_settings,
    new_run,
    newest_run,
)

RECIPE = Recipe.of(hidden=9)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def finish(folder: Path, *names: str) -> None:
    """Make runs that look finished, one second apart."""
    for second, name in enumerate(names):
        (folder / name).mkdir()
        (folder / name / "config.json").touch()
        (folder / name / "model.safetensors").touch()
        os.utime(folder / name / "model.safetensors", (second, second))


def test_a_new_run_gets_a_number_if_its_name_is_taken(tmp_path: Path) -> None:
    assert new_run(tmp_path, "jsb-gru") == tmp_path / "jsb-gru"
    finish(tmp_path, "jsb-gru", "jsb-gru-2")
    assert new_run(tmp_path, "jsb-gru") == tmp_path / "jsb-gru-3"


def test_the_newest_run_of_a_name_is_found_for_any_number(tmp_path: Path) -> None:
    assert newest_run(tmp_path, "jsb-gru") == tmp_path / "jsb-gru"
    finish(tmp_path, "jsb-gru-2", "jsb-gru", "jsb-gru-simplified", "jsb-gru-3x")
    assert newest_run(tmp_path, "jsb-gru") == tmp_path / "jsb-gru"
    (tmp_path / "begun").mkdir()
    assert [run.name for run in finished_runs(tmp_path)] == [
        "jsb-gru-2",
        "jsb-gru",
        "jsb-gru-simplified",
        "jsb-gru-3x",
    ]


def test_the_settings_of_a_network_are_those_of_a_recipe(run: Path) -> None:
    settings = network_settings(run)
    assert settings["hidden"] == 8 and "input_size" not in settings and "epochs" not in settings


def test_an_empty_folder_and_the_remains_of_a_killed_process_may_be_used(
    corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".config.json.x.tmp").touch()
    for name in ("new", "missing"):
        assert checked_recipe(tmp_path / name, corpus, RECIPE, {}) is RECIPE


def test_a_run_is_replaced_or_resumed_only_if_asked_for(run: Path, corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found a run, expected a new folder, --resume or --overwrite"):
        checked_recipe(run, corpus, RECIPE, {})
    assert checked_recipe(run, corpus, RECIPE, {}, overwrite=True) is RECIPE
    with pytest.raises(ModelError, match="expected a run or an empty folder"):
        checked_recipe(tmp_path, corpus, RECIPE, {}, overwrite=True)


def test_a_resumed_run_keeps_its_settings_but_may_get_more_epochs(run: Path, corpus: Corpus) -> None:
    resumed = checked_recipe(run, corpus, RECIPE, {"epochs": 7, "until": 2.0, "hidden": 8}, resume=True)
    assert resumed.network.recurrent.hidden == 8
    assert (resumed.epochs, resumed.until, resumed.patience) == (7, 2.0, 10)
    with pytest.raises(UsageError, match="can't resume with hidden 9: the run was started with 8"):
        checked_recipe(run, corpus, RECIPE, {"hidden": 9}, resume=True)


def test_a_schedule_that_ends_with_the_last_epoch_fixes_their_number(run: Path, corpus: Corpus) -> None:
    document = json.loads((run / "config.json").read_text())
    document["training"]["schedule"] = "cosine"
    (run / "config.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="can't resume with epochs 7: the run was started with 3"):
        checked_recipe(run, corpus, RECIPE, {"epochs": 7}, resume=True)


def test_resuming_needs_the_saved_state_and_the_same_corpus(run: Path, corpus: Corpus) -> None:
    (run / STATE).unlink()
    with pytest.raises(ModelError, match="expected the state to resume from, found nothing"):
        checked_recipe(run, corpus, RECIPE, {}, resume=True)
    (run / "metrics.jsonl").write_bytes(b"")  # killed before the first state was saved
    assert checked_recipe(run, corpus, RECIPE, {}, resume=True).network.recurrent.hidden == 8
    document = json.loads((run / "config.json").read_text())
    document["data"].update(name="other", directory="elsewhere")
    (run / "config.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"can't resume with .*: expected .*'other'"):
        checked_recipe(run, corpus, RECIPE, {}, resume=True)
