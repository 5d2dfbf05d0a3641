from __future__ import annotations

import errno
import json
import math
import shutil
import signal
import threading
from pathlib import Path

import pytest
import torch

from musicrnn.checkpoint import Epoch, load_model
from musicrnn.corpus import Corpus, build_corpus, collect
from musicrnn.errors import CorpusError, FileError, ModelError, UsageError
from musicrnn.evaluation import evaluate
from musicrnn.training import Recipe
from musicrnn.training.callbacks import Callback
from musicrnn.training.loop import interruption, mean_nll, train
from musicrnn.training.run import STATE, load_state
from tests.conftest import PREPARATION

RECIPE = Recipe.of(hidden=8, epochs=4, batch_size=4, dropout=0.2, weight_noise=0.05)


class StopAfter(Callback):
    """Interrupts a training in the middle of the epoch after the given one."""

    def __init__(self, epoch: int) -> None:
        self.stop_after = epoch
        self.done = 0

    def advance(self, frames: int) -> None:
        if self.done == self.stop_after:
            raise KeyboardInterrupt

    def epoch(self, metrics: Epoch, best: bool) -> None:
        self.done = metrics.epoch


@pytest.mark.parametrize(
    ("cell", "optimizer"),
    [("tanh", "rmsprop"), ("lstm", "adam"), ("gru", "adam"), ("gru", "adamw"), ("gru", "sgd")],
)
def test_training_lowers_the_nll_of_every_split(
    corpus: Corpus, tmp_path: Path, cell: str, optimizer: str
) -> None:
    rate = {"adam": 0.03, "adamw": 0.03, "rmsprop": 0.003, "sgd": 1.0}[optimizer]
    recipe = Recipe.of(cell=cell, hidden=8, epochs=8, batch_size=2, optimizer=optimizer, learning_rate=rate)
    done = train(corpus, recipe, tmp_path / "run")
    first, best = done.history[0], done.history[done.best_epoch - 1]
    assert best.train_nll < first.train_nll - 0.2 and best.valid_nll < first.valid_nll
    assert best.valid_nll == pytest.approx(done.nlls["valid"])


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
    assert f"{done.nlls['test']:.3f}" in (tmp_path / "run" / "README.md").read_text()
    assert evaluate(load_model(tmp_path / "run"), corpus).nll_per_frame == pytest.approx(
        done.nlls["test"], rel=1e-6
    )


def test_the_best_weights_are_kept_not_the_last(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, epochs=5, batch_size=1, learning_rate=1.0, schedule="constant", clip_norm=0)
    done = train(corpus, recipe, tmp_path / "run")
    nlls = [epoch.valid_nll for epoch in done.history]
    assert done.nlls["valid"] == pytest.approx(min(nlls), rel=1e-6)
    assert nlls[-1] > min(nlls) + 1e-3, "the last epoch has to be worse for this test to tell"


def test_training_stops_when_patience_runs_out(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, epochs=100, patience=2, batch_size=2, learning_rate=0.5)
    done = train(corpus, recipe, tmp_path / "run")
    assert len(done.history) == done.best_epoch + 2 < 100


def test_the_same_seed_gives_the_same_bytes_and_another_others(corpus: Corpus, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(corpus, RECIPE.replaced(seed=seed), tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]


def test_an_interrupted_run_ends_with_the_bytes_of_an_undisturbed_one(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, RECIPE, tmp_path / "whole")
    for epoch in (0, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            train(corpus, RECIPE, tmp_path / "broken", callbacks=[StopAfter(epoch)])
    done = train(corpus, RECIPE, tmp_path / "broken")
    assert train(corpus, RECIPE, tmp_path / "broken").history == done.history, "a finished run is finished"
    assert [epoch.epoch for epoch in done.history] == [1, 2, 3, 4]
    names = ("model.safetensors", "README.md", "config.json")
    for name in names:
        whole, broken = ((tmp_path / run / name).read_text("latin-1") for run in ("whole", "broken"))
        assert broken.replace("broken", "whole") == whole


def test_transposition_can_end_before_training_does(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=4, epochs=2, transpose="-2:2", input_noise=0.0, weight_noise=0.0)
    always = train(corpus, recipe, tmp_path / "always").history
    first = train(corpus, recipe.replaced(transpose_epochs=1), tmp_path / "first").history
    never = train(corpus, recipe.replaced(transpose="0:0"), tmp_path / "never").history
    assert first[0].train_nll == always[0].train_nll != never[0].train_nll
    assert first[1].train_nll != always[1].train_nll


def test_the_noise_is_gone_when_weights_are_saved_and_measured(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, epochs=1, batch_size=4, learning_rate=1e-12, input_noise=0)
    noisy, clean = (
        train(corpus, recipe.replaced(weight_noise=noise), tmp_path / str(noise)) for noise in (1.0, 0.0)
    )
    for name, tensor in clean.model.state_dict().items():
        torch.testing.assert_close(noisy.model.state_dict()[name], tensor)
    assert abs(noisy.history[0].train_nll - clean.history[0].train_nll) > 1e-2


def test_the_head_starts_at_the_training_frequencies(corpus: Corpus, tmp_path: Path) -> None:
    done = train(corpus, Recipe.of(hidden=8, epochs=1, learning_rate=1e-12), tmp_path / "run")
    sounding = sum(roll.frames[:, 0].sum() for roll in corpus["train"]) / corpus["train"].frames
    assert torch.sigmoid(done.model.head.linear.bias[0]).item() == pytest.approx(
        min(sounding, 1 - 1e-4), rel=1e-3
    )


def test_training_can_start_from_another_model(corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    start = load_model(trained)
    recipe = Recipe.of(hidden=8, epochs=1, learning_rate=1e-12, dropout=0.1, init_from=str(trained))
    done = train(corpus, recipe, tmp_path / "run")
    assert done.nlls["test"] == pytest.approx(mean_nll(start, corpus["test"]), rel=1e-4)
    with pytest.raises(ModelError, match=r"expected a network with {'hidden': 9}, found {'hidden': 8}"):
        train(corpus, Recipe.of(hidden=9, init_from=str(trained)), tmp_path / "other")


EVERYTHING = Recipe.of(
    hidden=8,
    layers=2,
    connections="residual",
    layer_norm=True,
    tied=True,
    dropout=0.2,
    variational_dropout=True,
    weight_dropout=0.1,
    optimizer="adamw",
    weight_decay=0.01,
    schedule="cosine",
    warmup=3,
    batch_size=3,
    accumulate=2,
    chunk_frames=10,
    transpose="-2:2",
    transpose_epochs=2,
    restart=2,
    restart_rate=0.5,
    attention=2,
    pitchwise=3,
    clock="3,4",
    adaptive_weight_noise=True,
    average="ema",
    average_decay=0.8,
    epochs=3,
)


def test_all_techniques_together_can_be_interrupted_between_any_two_updates(
    corpus: Corpus, tmp_path: Path
) -> None:
    class After(Callback):
        """Interrupts by the signal that a cluster sends, after so many updates."""

        left = 3

        def advance(self, frames: int) -> None:
            self.left -= 1
            if not self.left:
                signal.raise_signal(signal.SIGTERM)

    train(corpus, EVERYTHING, tmp_path / "whole")
    interruptions = 0
    while True:
        try:
            done = train(corpus, EVERYTHING, tmp_path / "broken", callbacks=[After()])
            break
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions > 2 and len(done.history) == 3
    whole, broken = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "broken"))
    assert whole == broken
    states = [load_state(tmp_path / run) for run in ("whole", "broken")]
    for name, tensor in states[0][0].items():
        assert torch.equal(tensor, states[1][0][name]), name


def test_saving_in_the_middle_of_an_epoch_can_be_gone_on_from(corpus: Corpus, tmp_path: Path) -> None:
    recipe = RECIPE.replaced(batch_size=1)

    class Kill(Callback):
        left = 5

        def advance(self, frames: int) -> None:
            self.left -= 1
            if not self.left:
                raise SystemExit

    train(corpus, recipe, tmp_path / "whole")
    with pytest.raises(SystemExit):
        train(corpus, recipe, tmp_path / "broken", save_minutes=0.0, callbacks=[Kill()])
    assert load_state(tmp_path / "broken")[1].batch == 4
    train(corpus, recipe, tmp_path / "broken")
    whole, broken = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "broken"))
    assert whole == broken


def test_the_weights_that_are_kept_are_the_average(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, epochs=2, batch_size=4, average="polyak", until=100.0)
    done = train(corpus, recipe, tmp_path / "run")
    tensors, position = load_state(tmp_path / "run")
    kept = torch.cat([p.detach().flatten() for p in done.model.parameters()])
    assert torch.equal(kept, tensors["average.values"])
    assert position.updates == tensors["average.updates"] == tensors["optimizer.steps"]
    last = torch.cat([tensors[f"model.{name}"].flatten() for name, _ in done.model.named_parameters()])
    assert not torch.allclose(kept, last)


def test_polyak_averages_from_the_given_epoch(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, epochs=3, batch_size=4, average="polyak", average_start=3)
    train(corpus, recipe, tmp_path / "run")
    tensors, position = load_state(tmp_path / "run")
    assert tensors["average.updates"] * 3 == position.updates


def test_training_stops_at_its_aim(corpus: Corpus, tmp_path: Path) -> None:
    recipe = Recipe.of(hidden=8, epochs=50, batch_size=2, until=4.8, learning_rate=0.03)
    done = train(corpus, recipe, tmp_path / "run")
    assert done.history[-1].valid_nll <= 4.8 < done.history[-2].valid_nll and len(done.history) < 50


def test_a_second_training_in_the_same_folder_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    class Second(Callback):
        def epoch(self, metrics: Epoch, best: bool) -> None:
            with pytest.raises(FileError, match="run: another process is using it"):
                train(corpus, RECIPE, tmp_path / "run")

    train(corpus, RECIPE.replaced(epochs=1), tmp_path / "run", callbacks=[Second()])


def test_padding_is_measured_and_small(corpus: Corpus, tmp_path: Path) -> None:
    done = train(corpus, RECIPE.replaced(epochs=1), tmp_path / "run")
    assert done.padding == done.history[0].padding < 0.05


def test_mixed_precision_needs_a_gpu(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="precision bfloat16 needs a GPU, got the device cpu"):
        train(corpus, Recipe.of(hidden=8, precision="bfloat16"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_corpus_without_validation_is_judged_by_its_training_nll(midi_folder: Path, tmp_path: Path) -> None:
    alone = build_corpus(collect([str(midi_folder)]), PREPARATION, tmp_path / "alone", shares=(0, 0)).corpus
    done = train(alone, RECIPE.replaced(epochs=2), tmp_path / "run")
    assert done.nlls.keys() == {"train"}
    assert done.history[-1].valid_nll == done.history[-1].train_nll


def test_a_corpus_without_training_pieces_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    nothing = Corpus(corpus.directory, corpus.head, corpus.index[:0])
    with pytest.raises(CorpusError, match="expected a split 'train' with pieces, found none"):
        train(nothing, RECIPE, tmp_path / "none")


def test_a_loss_that_explodes_stops_with_a_line_and_keeps_the_last_good_weights(
    corpus: Corpus, tmp_path: Path
) -> None:
    recipe = Recipe.of(cell="tanh", hidden=8, epochs=30, batch_size=1, learning_rate=1e37, clip_norm=0)
    with pytest.raises(
        ModelError,
        match=r"the (loss|gradient) became (nan|inf) in epoch 1, batch \d+, at piece-.*--on-nan skip",
    ):
        train(corpus, recipe, tmp_path / "run")
    assert math.isfinite(mean_nll(load_model(tmp_path / "run"), corpus["valid"]))
    tensors, position = load_state(tmp_path / "run")
    assert position.rate_share == 0.5 and all(tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.parametrize("average", ["none", "ema"])
def test_bad_updates_can_be_skipped_at_a_lower_and_lower_rate(
    corpus: Corpus, tmp_path: Path, average: str
) -> None:
    recipe = Recipe.of(
        hidden=8, epochs=6, batch_size=1, learning_rate=1e9, clip_norm=0, average=average, cell="irnn"
    )
    warnings: list[str] = []

    class Listen(Callback):
        def warn(self, text: str) -> None:
            warnings.append(text)

    done = train(corpus, recipe, tmp_path / "run", on_nan="skip", callbacks=[Listen()])
    assert warnings and "restored the previous weights, at 0.5 of the learning rate" in warnings[0]
    assert sum(epoch.skipped for epoch in done.history) == len(warnings)
    assert done.history[-1].learning_rate < 1e9 and math.isfinite(done.nlls["valid"])


def test_training_gives_up_where_no_rate_is_low_enough(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicrnn.training.loop.LEAST_RATE_SHARE", 0.4)
    recipe = Recipe.of(cell="irnn", hidden=8, epochs=6, batch_size=1, learning_rate=1e30, clip_norm=0)
    with pytest.raises(ModelError, match="became"):
        train(corpus, recipe, tmp_path / "run", on_nan="skip")


def test_a_failed_write_keeps_existing_files(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(corpus, RECIPE, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(corpus, RECIPE, tmp_path / "run", callbacks=[StopAfter(2)])
    before = (tmp_path / "run" / STATE).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(FileError, match=r"run.*: can't write: No space left on device"):
            train(corpus, RECIPE, tmp_path / "run")
    assert (tmp_path / "run" / STATE).read_bytes() == before
    assert not list((tmp_path / "run").rglob("*.tmp"))
    train(corpus, RECIPE, tmp_path / "run")
    whole, run = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == run


def test_a_damaged_or_foreign_resume_state_is_named(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, RECIPE.replaced(epochs=1), tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    with pytest.raises(ModelError, match=r"state.safetensors: expected the state of this training"):
        train(corpus, RECIPE.replaced(hidden=9), tmp_path / "other")
    (tmp_path / "run" / STATE).write_bytes(b"damage")
    with pytest.raises(
        ModelError, match=r"state.safetensors: expected tensors \(safetensors\), found damage"
    ):
        train(corpus, RECIPE, tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_ends_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruption() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_other_threads_train_without_handlers() -> None:
    found: list[bool] = []

    def work() -> None:
        with interruption() as asked:
            found.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
