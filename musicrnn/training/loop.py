"""The training loop: epochs with early stopping, the best weights kept, every epoch resumable."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from musicrnn.checkpoint import load_weights, save_config, save_weights
from musicrnn.corpus import Corpus, Split
from musicrnn.corpus.batches import evaluation_batches, training_batches
from musicrnn.errors import ModelError
from musicrnn.music.draw import draw_curves
from musicrnn.nn import MusicRNN, build
from musicrnn.training.card import model_card
from musicrnn.training.optimizers import OPTIMIZERS, Optimizer
from musicrnn.training.recipe import Recipe
from musicrnn.training.run import STATE, Epoch, load_state, save_state, write_metrics
from musicrnn.training.schedules import best_epoch, is_over, learning_rate
from musicrnn.training.weight_noise import weight_noise


class Watcher(Protocol):
    """Is told how a training goes on."""

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch]) -> None:
        """Training starts, or resumes after ``done``; every epoch has so many training frames."""

    def advance(self, frames: int) -> None:
        """So many more frames of the epoch have been trained on."""

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """An epoch ended; ``best`` says that its validation NLL is the lowest so far."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch]) -> None:
        """Say nothing."""

    def advance(self, frames: int) -> None:
        """Say nothing."""

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        model: The network with its best weights, in evaluation mode, on the CPU.
        directory: The run's folder.
        history: The metrics of every epoch.
        best_epoch: Number of the epoch whose weights were kept, from 1.
        train_nll: Nats per frame of the best weights on the training pieces, without noise and dropout.
        valid_nll: The same on the validation pieces; None where the corpus has none.
        test_nll: The same on the test pieces; None where the corpus has none.
        seconds: Time of this call, without the compilation of kernels.
        frames_per_second: Training frames per second, averaged over the epochs.
    """

    model: MusicRNN
    directory: Path
    history: list[Epoch]
    best_epoch: int
    train_nll: float
    valid_nll: float | None
    test_nll: float | None
    seconds: float
    frames_per_second: float


def train(
    corpus: Corpus,
    recipe: Recipe,
    directory: Path,
    *,
    device: str = "cpu",
    init_from: MusicRNN | None = None,
    overwrite: bool = False,
    watcher: Watcher | None = None,
) -> Trained:
    """Train a network on a corpus and write the run.

    Every epoch draws its order, dropout and noise from a seed of its own, so a run that finds its state in
    ``directory`` goes on as if it had never stopped. Without validation pieces the training NLL decides.

    Args:
        corpus: Needs a ``train`` split.
        recipe: The network and how it is trained.
        directory: Where the run goes.
        device: A torch device.
        init_from: A network of the same shape whose weights to start from.
        overwrite: Remove what is in ``directory``, once the new network stands, instead of going on with it.
        watcher: Is told of every batch and epoch.

    Returns:
        The best network and its figures.

    Raises:
        CorpusError: The corpus has no training pieces, or its frames are damaged.
        FileError: ``directory`` can't be written.
        ModelError: The loss became infinite or NaN, or the state found isn't this training's.
    """
    split, watcher = corpus["train"], watcher or Silent()
    model, optimizer = _make(corpus, recipe, device, init_from)
    started, history = time.monotonic(), list[Epoch]()
    if overwrite and directory.is_dir():
        shutil.rmtree(directory)
    if (directory / STATE).exists():
        history = load_state(directory, model, optimizer)
    save_config(directory, model.config, corpus.facts(), recipe.to_dict())
    write_metrics(directory, history)
    earlier = history[-1].seconds if history else 0.0
    nlls = [epoch.valid_nll for epoch in history]
    watcher.begin(model, split.frames, history)
    with model.fitting_threads(recipe.batch_size, split.frames / max(1, len(split))):
        while not is_over(recipe, nlls):
            rate = learning_rate(recipe, nlls)
            epoch_started = time.monotonic()
            nll, norm = _epoch(model, optimizer, rate, split, recipe, len(history), watcher)
            speed = split.frames / (time.monotonic() - epoch_started)
            nlls.append(mean_nll(model, corpus["valid"]) if "valid" in corpus else nll)
            elapsed = earlier + time.monotonic() - started
            history.append(Epoch(len(history) + 1, nll, nlls[-1], rate, norm, speed, elapsed))
            best = best_epoch(nlls) == len(nlls) - 1
            if best:
                save_weights(directory, model.state_dict())
            save_state(directory, model, optimizer, history)
            write_metrics(directory, history)
            watcher.epoch(history[-1], best)
        return _finish(corpus, recipe, model, directory, history, time.monotonic() - started)


def mean_nll(model: MusicRNN, split: Split) -> float:
    """Return the negative log-likelihood of a split, nats per frame."""
    device = next(model.parameters()).device
    model.eval()
    total = 0.0
    with torch.no_grad():
        for batch in evaluation_batches(split):
            frames, mask = (torch.from_numpy(array).to(device) for array in (batch.frames, batch.mask))
            total += model.nll(frames, mask).double().sum().item()
    return total / split.frames


def _make(
    corpus: Corpus, recipe: Recipe, device: str, init_from: MusicRNN | None
) -> tuple[MusicRNN, Optimizer]:
    torch.manual_seed(recipe.seed)
    model = build(recipe.network(corpus.layout.width), corpus.facts())
    split = corpus["train"]
    model.head.start_at(torch.as_tensor(split.ones() / split.frames, dtype=torch.float32))
    if init_from is not None:
        if init_from.config != model.config:
            raise ModelError(
                f"expected a network like {model.config} to start from, found {init_from.config}"
            )
        model.load_state_dict(init_from.state_dict())
    model.to(device).warm_up()
    return model, OPTIMIZERS[recipe.optimizer](model)


def _epoch(
    model: MusicRNN,
    optimizer: Optimizer,
    rate: float,
    split: Split,
    recipe: Recipe,
    number: int,
    watcher: Watcher,
) -> tuple[float, float]:
    """Pass once over the training pieces; return nats per frame and the mean norm of the gradient."""
    device = next(model.parameters()).device
    torch.manual_seed(recipe.seed * 1_000_003 + number + 1)
    model.train()
    total, norms = 0.0, []
    for batch in training_batches(split, recipe.batch_size, f"{recipe.seed}:{number}"):
        frames, mask = (torch.from_numpy(array).to(device) for array in (batch.frames, batch.mask))
        real = int(batch.mask.sum())
        optimizer.gradients.zero_()
        with weight_noise(model.recurrent, recipe.weight_noise):
            loss = model.nll(frames, mask).sum() / real
            loss.backward()  # type: ignore[no-untyped-call]
        nats, norm = loss.item(), optimizer.clip(recipe.clip_norm)
        if not (math.isfinite(nats) and math.isfinite(norm)):
            piece = split.pieces[batch.pieces[0]].name
            raise ModelError(
                f"the loss became {nats} in epoch {number + 1}, in the batch of {piece}; the best "
                "weights so far are kept; a lower --learning-rate or --clip-norm may help"
            )
        optimizer.step(rate)
        total += nats * real
        norms.append(norm)
        watcher.advance(real)
    return total / split.frames, sum(norms) / len(norms)


def _finish(
    corpus: Corpus, recipe: Recipe, model: MusicRNN, directory: Path, history: list[Epoch], seconds: float
) -> Trained:
    """Load the best weights, measure them, and write what is written once."""
    model.load_state_dict(load_weights(directory, model.state_dict()))
    model.to("cpu").eval()
    nlls = {split: mean_nll(model, corpus[split]) for split in corpus}
    done = Trained(
        model=model,
        directory=directory,
        history=history,
        best_epoch=best_epoch([epoch.valid_nll for epoch in history]) + 1,
        train_nll=nlls["train"],
        valid_nll=nlls.get("valid"),
        test_nll=nlls.get("test"),
        seconds=seconds,
        frames_per_second=len(history) / sum(1 / epoch.frames_per_second for epoch in history),
    )
    curves = {
        "train": [epoch.train_nll for epoch in history],
        "validation": [epoch.valid_nll for epoch in history],
    }
    draw_curves(
        curves,
        directory / "curves.png",
        x_label="epoch",
        y_label="NLL per frame (nats)",
        marks={f"best: epoch {done.best_epoch}": done.best_epoch - 1},
        title=f"{recipe.cell} {recipe.hidden} on {corpus.name}",
    )
    figures = {
        "best_epoch": done.best_epoch,
        **{f"{split}_nll": round(nll, 4) for split, nll in nlls.items()},
    }
    model_card(directory, model, corpus, recipe, figures)
    return done
