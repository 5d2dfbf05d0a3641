"""The engine of trials: what it trains, when it stops, and what it reads from disk."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from musicrnn.checkpoint import Epoch, write_metrics
from musicrnn.corpus import Corpus
from musicrnn.errors import FileError, UsageError
from musicrnn.experiments.trials import StopTrialError, TrialRecord, claim, read_trial, run_trial
from musicrnn.training import Recipe
from musicrnn.training.callbacks import Callback

RECIPE = Recipe.of(cell="lstm", hidden=3, learning_rate=0.01, epochs=4, batch_size=4)


def test_a_trial_trained_in_steps_is_the_trial_trained_at_once(corpus: Corpus, tmp_path: Path) -> None:
    for epochs in (1, 2, 1, None):
        record = run_trial(corpus, RECIPE, tmp_path / "steps", epochs=epochs)
        assert record.state == ("unfinished" if epochs else "complete")
        if epochs == 2:
            assert record.epochs == 2 and record == read_trial(tmp_path / "steps", RECIPE)
    assert run_trial(corpus, RECIPE, tmp_path / "once") == record and record.is_over
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("steps", "once")]
    assert files[0] == files[1]


def test_a_trial_that_explodes_has_failed_and_is_not_continued(corpus: Corpus, tmp_path: Path) -> None:
    recipe = RECIPE.replaced(cell="tanh", learning_rate=1e37, clip_norm=0.0, batch_size=1)
    reasons = ["became", "expected a finite loss"]
    for reason in reasons:
        record = run_trial(corpus, recipe, tmp_path / "run")
        assert record.state == "failed" and reason in record.reason
        assert read_trial(tmp_path / "run").state == "exploded"
        assert not (tmp_path / "run" / "README.md").exists()


def test_a_callback_receives_epochs_and_can_stop_a_trial(corpus: Corpus, tmp_path: Path) -> None:
    class Stopping(Callback):
        def epoch(self, metrics: Epoch, best: bool) -> None:
            epochs.append(metrics.epoch)
            if metrics.epoch == 2:
                raise StopTrialError

    epochs: list[int] = []
    record = run_trial(corpus, RECIPE, tmp_path, callbacks=[Stopping()])
    assert epochs == [1, 2] and record.state == "unfinished" and record.epochs == 2


def test_a_claim_excludes_others_and_can_be_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "trial-000"
    first = claim(run)
    assert first.__enter__()
    with claim(run) as claimed:
        assert not claimed
    monkeypatch.setattr("time.sleep", lambda _: first.__exit__(None, None, None))
    with claim(run, patience=60) as claimed:
        assert claimed
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="can't write"), claim(tmp_path / "file" / "trial-000"):
        pass


def test_trials_are_read_from_disk(tmp_path: Path) -> None:
    assert read_trial(tmp_path / "missing", RECIPE) == TrialRecord()
    (tmp_path / "config.json").write_text(json.dumps({"training": RECIPE.to_dict()}))
    write_metrics(
        tmp_path, [Epoch(number, 9.0, nll, 0.1, 1, 1, 1) for number, nll in ((1, 8.0), (2, math.inf))]
    )
    record = read_trial(tmp_path, RECIPE)
    assert record == TrialRecord("unfinished", [8.0, math.inf]) and record.best() == record.best(1) == 8.0
    (tmp_path / "README.md").touch()
    assert read_trial(tmp_path, RECIPE).state == "complete"
    with pytest.raises(UsageError, match=r"expected a run with learning_rate 0\.5, found 0\.01; choose"):
        read_trial(tmp_path, RECIPE.replaced(learning_rate=0.5))
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(FileError, match=r"metrics\.jsonl: expected a line of JSON per epoch"):
        read_trial(tmp_path)
