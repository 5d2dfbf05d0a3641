"""Workers: who does which trial, and what happens to trials whose worker is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from musicrnn.corpus import Corpus
from musicrnn.errors import FileError
from musicrnn.experiments import trials
from musicrnn.experiments.sweep import worker
from musicrnn.experiments.sweep.settings import make_settings
from musicrnn.experiments.sweep.store import TrialStore, open_store
from musicrnn.training import Recipe
from musicrnn.training.loop import train
from musicrnn.training.run import STATE, load_state, save_state

pytest.importorskip("optuna", reason="needs the extra sweep")

BASE = Recipe.of(hidden=3, epochs=2, batch_size=4)
SPACE = {"learning_rate": [0.01, 0.02, 0.03, 0.04]}


@contextmanager
def opened(corpus: Corpus, folder: Path, url: str | None = None, base: Recipe = BASE) -> Iterator[TrialStore]:
    with open_store(folder, make_settings(corpus, base, SPACE, "random", "none"), url) as store:
        yield store


def work(store: TrialStore, corpus: Corpus, count: int) -> list[str]:
    worker.SweepWorker(store, corpus, count, "cpu", lambda: None).run()
    return [trial.state for trial in store.trials()]


def test_a_trial_that_is_claimed_is_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    with opened(corpus, tmp_path) as store:
        store.create()
        made = worker.SweepWorker(store, corpus, 1, "cpu", lambda: None)
        with trials.claim(store.run_folder(0)) as claimed:
            assert claimed and not made._continue(store.stored()[0])
        assert not store.run_folder(0).exists()
        assert made._continue(store.stored()[0])
        assert not made._continue(store.stored()[0])
        assert [trial.state for trial in store.trials()] == ["complete"]


def test_the_worker_that_was_too_quick_leaves_its_trial_for_later(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SETTLE", 0.0)
    with opened(corpus, tmp_path / "s") as store:
        assert work(store, corpus, 1) == ["complete"]
        worker.SweepWorker(store, corpus, 1, "cpu", lambda: None)._begin()
        assert work(store, corpus, 1) == ["complete", "running"]
        assert not store.run_folder(1).exists()
        assert work(store, corpus, 3) == ["complete"] * 3
        found = [trial.settings for trial in store.trials()]
    with opened(corpus, tmp_path / "undisturbed") as store:
        work(store, corpus, 3)
        assert [trial.settings for trial in store.trials()] == found


def test_a_trial_of_another_machine_is_taken_over_when_it_has_been_silent(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with opened(corpus, tmp_path / "there" / "s", url) as lost:
        lost.create()
    for name, seconds in (("SETTLE", 0.0), ("PAUSE", 0.0), ("LOST", 1e9)):
        monkeypatch.setattr(worker, name, seconds)
    with opened(corpus, tmp_path / "here" / "s", url) as store:
        made = worker.SweepWorker(store, corpus, 2, "cpu", lambda: None)
        assert not any(made._continue(store.stored()[0]) for _ in range(2))
        monkeypatch.setattr(worker, "LOST", 0.0)
        assert work(store, corpus, 2) == ["complete"] * 2
        assert (tmp_path / "here" / "s" / "trial-000" / "README.md").exists()
    assert not (tmp_path / "there" / "s" / "trial-000").exists()


def test_a_trial_that_another_machine_finished_meanwhile_is_left_unchanged(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(corpus, tmp_path, f"sqlite:///{tmp_path / 'shared.db'}") as store:

        def slow(*arguments: Any, **others: Any) -> Any:
            store.study.tell(0, 1.0)
            return train(*arguments, **others)

        monkeypatch.setattr(trials, "train", slow)
        assert work(store, corpus, 1) == ["complete"]
        assert store.study.best_value == 1.0


def test_signs_of_life_are_given_where_claims_do_not_reach(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BEAT", 0.0)
    for url in (None, f"sqlite:///{tmp_path / 'shared.db'}"):
        with opened(corpus, tmp_path / f"s-{url is None}", url) as store:
            work(store, corpus, 1)
            assert ("alive" in store.stored()[0].user_attrs) == (url is not None)


def test_a_finished_run_that_was_not_reported_is_not_trained_again(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(corpus, tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(store.study, "tell", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                work(store, corpus, 1)
        metrics = (tmp_path / "trial-000" / "metrics.jsonl").read_bytes()
        weights = (tmp_path / "trial-000" / "model.safetensors").stat()
        assert work(store, corpus, 1) == ["complete"]
        assert (tmp_path / "trial-000" / "metrics.jsonl").read_bytes() == metrics
        assert (tmp_path / "trial-000" / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns
        assert store.trials()[0].epochs == 2
        nlls = [json.loads(line)["valid_nll"] for line in metrics.splitlines()]
        assert store.trials()[0].valid_nll == store.study.best_value == min(nlls)


def test_epochs_that_were_not_reported_are_reported_later(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(corpus, tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(worker._Reporter, "report", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                work(store, corpus, 1)
        assert store.trials()[0].epochs == 0 and (tmp_path / "trial-000" / STATE).exists()
        assert work(store, corpus, 1) == ["complete"]
        assert store.trials()[0].epochs == 2


def test_a_run_that_exploded_unreported_is_not_continued_at_a_lower_rate(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(corpus, tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(store.study, "tell", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                work(store, corpus, 1)
        run = store.run_folder(0)
        tensors, position = load_state(run)
        save_state(run, tensors, replace(position, rate_share=0.5))
        assert work(store, corpus, 1) == ["failed"]
        assert "expected a finite loss" in store.trials()[0].reason


def test_an_unwritable_run_ends_the_worker_and_not_the_trial(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise FileError("trial-000: can't write: No space left on device")

    with opened(corpus, tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(trials, "train", full)
            with pytest.raises(FileError, match="No space left"):
                work(store, corpus, 2)
        assert [trial.state for trial in store.trials()] == ["running"]
        assert work(store, corpus, 2) == ["complete"] * 2


def _interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt
