from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus, build_corpus, collect
from musicrnn.errors import CorpusError, ModelError, UsageError
from musicrnn.evaluation import evaluate
from musicrnn.nn import ModelConfig, build
from musicrnn.training import STATE, Epoch, Recipe, train
from musicrnn.training.loop import Silent, mean_nll
from tests.conftest import PREPARATION

RECIPE = Recipe(hidden=8, epochs=4, batch_size=4, dropout=0.2, weight_noise=0.05)


class StopAfter(Silent):
    """Interrupts a training in the middle of the epoch after the given one."""

    def __init__(self, epoch: int) -> None:
        self.stop_after = epoch
        self.done = 0

    def advance(self, frames: int) -> None:
        if self.done == self.stop_after:
            raise KeyboardInterrupt

    def epoch(self, metrics: Epoch, best: bool) -> None:
        self.done = metrics.epoch


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_training_lowers_the_nll_of_every_split(
    corpus: Corpus, tmp_path: Path, cell: str, optimizer: str
) -> None:
    rate = {"adam": 0.03, "rmsprop": 0.003}[optimizer]
    recipe = Recipe(cell=cell, hidden=8, epochs=8, batch_size=2, optimizer=optimizer, learning_rate=rate)
    done = train(corpus, recipe, tmp_path / "run")
    first, best = done.history[0], done.history[done.best_epoch - 1]
    assert best.train_nll < first.train_nll - 0.2 and best.valid_nll < first.valid_nll
    assert best.valid_nll == pytest.approx(done.valid_nll)


def test_a_run_is_a_model_with_its_metrics_curves_and_card(corpus: Corpus, tmp_path: Path) -> None:
    done = train(corpus, RECIPE, tmp_path / "run")
    names = {
        str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file()
    }
    assert names == {
        "config.json",
        "model.safetensors",
        "metrics.jsonl",
        "curves.png",
        "README.md",
        "resume/state.safetensors",
    }
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    assert f"{done.test_nll:.3f}" in (tmp_path / "run" / "README.md").read_text()
    assert evaluate(load_model(tmp_path / "run"), corpus).nll_per_frame == pytest.approx(
        done.test_nll, rel=1e-6
    )


def test_the_best_weights_are_kept_not_the_last(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe(hidden=8, epochs=5, batch_size=1, learning_rate=1.0, schedule="constant", clip_norm=0)
    done = train(corpus, recipe, tmp_path / "run")
    nlls = [epoch.valid_nll for epoch in done.history]
    assert done.valid_nll == pytest.approx(min(nlls), rel=1e-6)
    assert nlls[-1] > min(nlls) + 1e-3, "the last epoch has to be worse for this test to tell"


def test_training_stops_when_patience_runs_out(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe(hidden=8, epochs=100, patience=2, batch_size=2, learning_rate=0.5)
    done = train(corpus, recipe, tmp_path / "run")
    assert len(done.history) == done.best_epoch + 2 < 100


def test_the_same_seed_gives_the_same_bytes_and_another_others(corpus: Corpus, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(corpus, replace(RECIPE, seed=seed), tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]


def test_an_interrupted_run_ends_with_the_bytes_of_an_undisturbed_one(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, RECIPE, tmp_path / "whole")
    for epoch in (0, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            train(corpus, RECIPE, tmp_path / "broken", watcher=StopAfter(epoch))
    done = train(corpus, RECIPE, tmp_path / "broken")
    assert [epoch.epoch for epoch in done.history] == [1, 2, 3, 4]
    names = ("model.safetensors", "README.md", "config.json")
    for name in names:
        whole, broken = ((tmp_path / run / name).read_text("latin-1") for run in ("whole", "broken"))
        assert broken.replace("broken", "whole") == whole


def test_the_noise_is_gone_when_weights_are_saved_and_measured(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe(hidden=8, epochs=1, batch_size=4, learning_rate=1e-12, input_noise=0)
    noisy, clean = (
        train(corpus, replace(recipe, weight_noise=noise), tmp_path / str(noise)) for noise in (1.0, 0.0)
    )
    for name, tensor in clean.model.state_dict().items():
        torch.testing.assert_close(noisy.model.state_dict()[name], tensor)
    assert noisy.history[0].train_nll > clean.history[0].train_nll


def test_the_head_starts_at_the_training_frequencies(corpus: Corpus, tmp_path: Path) -> None:
    done = train(corpus, Recipe(hidden=8, epochs=1, learning_rate=1e-12), tmp_path / "run")
    sounding = sum(roll.frames[:, 0].sum() for roll in corpus["train"]) / corpus["train"].frames
    assert torch.sigmoid(done.model.head.linear.bias[0]).item() == pytest.approx(
        min(sounding, 1 - 1e-4), rel=1e-3
    )


def test_training_can_start_from_another_model(corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    start = load_model(trained)
    done = train(corpus, Recipe(hidden=8, epochs=1, learning_rate=1e-12), tmp_path / "run", init_from=start)
    assert done.test_nll == pytest.approx(mean_nll(start, corpus["test"]), rel=1e-4)
    other = build(ModelConfig(input_size=24, hidden=9))
    with pytest.raises(ModelError, match=r"expected a network like .*hidden=8.* found .*hidden=9"):
        train(corpus, Recipe(hidden=8), tmp_path / "other", init_from=other)


def test_a_corpus_without_validation_is_judged_by_its_training_nll(midi_folder: Path, tmp_path: Path) -> None:
    alone = build_corpus(collect([str(midi_folder)]), PREPARATION, tmp_path / "alone", shares=(0, 0)).corpus
    done = train(alone, replace(RECIPE, epochs=2), tmp_path / "run")
    assert done.valid_nll is None and done.test_nll is None
    assert done.history[-1].valid_nll == done.history[-1].train_nll


def test_a_corpus_without_training_pieces_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    nothing = Corpus(corpus.directory, corpus.head, corpus.index[:0])
    with pytest.raises(CorpusError, match="expected a split 'train' with pieces, found none"):
        train(nothing, RECIPE, tmp_path / "none")


def test_a_loss_that_explodes_stops_with_a_line_and_keeps_the_best_weights(
    corpus: Corpus, tmp_path: Path
) -> None:
    recipe = Recipe(cell="tanh", hidden=8, epochs=30, batch_size=1, learning_rate=1e37, clip_norm=0)
    with pytest.raises(ModelError, match=r"the loss became (nan|inf) in epoch \d+, in the batch of piece-"):
        train(corpus, recipe, tmp_path / "run")


def test_a_damaged_or_foreign_resume_state_is_named(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, replace(RECIPE, epochs=1), tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    with pytest.raises(ModelError, match=r"state.safetensors: expected the state of this training"):
        train(corpus, replace(RECIPE, hidden=9), tmp_path / "other")
    (tmp_path / "run" / STATE).write_bytes(b"damage")
    with pytest.raises(
        ModelError, match=r"state.safetensors: expected tensors \(safetensors\), found damage"
    ):
        train(corpus, RECIPE, tmp_path / "run")


def test_senseless_recipes_are_refused() -> None:
    for settings, message in (
        ({"optimizer": "sgd2"}, "optimizer must be one of adam, rmsprop, got 'sgd2'"),
        ({"schedule": "steps"}, "schedule must be one of"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"weight_noise": -0.1}, "weight_noise must be at least 0 and below 2[*][*]32, got -0.1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, got 0.0"),
    ):
        with pytest.raises(UsageError, match=message):
            Recipe(**settings)  # type: ignore[arg-type]
