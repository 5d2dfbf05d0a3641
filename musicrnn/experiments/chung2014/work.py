"""What the processes do: measure this machine, train a run so far, measure a network."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from musicrnn.checkpoint import Epoch, load_model
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.batches import Augmentation, evaluation_batches, training_batch, training_order
from musicrnn.errors import FileError, ModelError
from musicrnn.evaluation import evaluate
from musicrnn.experiments.chung2014.pruning import exploded
from musicrnn.files import exclusive
from musicrnn.nn import MusicRNN
from musicrnn.processes.child import GRACE
from musicrnn.training import Recipe, train
from musicrnn.training.callbacks import Callback
from musicrnn.training.loop import make_trainer
from musicrnn.training.trainer import TrainingBatch

MEASURED = 0.4
"""Seconds of training that are measured, and as many of evaluation."""
SAVING = 0.02
"""Seconds that saving takes at the end of an epoch."""


def train_until(corpus: str, directory: str, recipe: dict[str, Any], epochs: int | None) -> None:
    """Train a run, or go on with it.

    Args:
        corpus: The folder of the corpus.
        directory: The folder of the run.
        recipe: How it is trained.
        epochs: Epochs to reach; None trains until the recipe has it enough, and writes the model card.
    """
    torch.set_num_threads(1)
    path = Path(directory)
    _await_orphans(path)
    if exploded(path):
        return
    try:
        train(_corpus(corpus), Recipe.of(**recipe), path, callbacks=[_Until(epochs)])
    except _ReachedError:
        pass
    except ModelError:
        if not exploded(path):
            raise


def measure_model(corpus: str, directory: str) -> dict[str, float]:
    """Measure a network, without noise.

    Args:
        corpus: The folder of the corpus.
        directory: The folder of the model.

    Returns:
        Nats per frame of ``train``, ``valid`` and ``test``; on the test pieces also without their first
        frames, ``skip``, and averaged piece by piece, ``pieces`` and ``skip_pieces``; and ``parameters``.
    """
    torch.set_num_threads(1)
    model, opened = load_model(directory), _corpus(corpus)
    test, skip = (evaluate(model, opened, "test", skip_first_frame=left_out) for left_out in (False, True))
    return {
        **{split: evaluate(model, opened, split).nll_per_frame for split in ("train", "valid")},
        "test": test.nll_per_frame,
        "skip": skip.nll_per_frame,
        "pieces": sum(piece.nll_per_frame for piece in test.pieces) / len(test.pieces),
        "skip_pieces": sum(piece.nll_per_frame for piece in skip.pieces) / len(skip.pieces),
        "parameters": model.parameter_count,
    }


def measure_epoch(corpus: str, recipe: dict[str, Any]) -> float:
    """Return the seconds that an epoch takes here, from a short measurement; kernels are compiled first."""
    torch.set_num_threads(1)
    settings, opened = Recipe.of(**recipe), _corpus(corpus)
    split, trainer = opened["train"], make_trainer(opened, settings)
    trainer.model.train()
    frames, begun = 0, 0.0
    for number, pieces in enumerate(training_order(split, settings.batch_size, [0])):
        if number == 1:
            begun = time.perf_counter()
        batch = TrainingBatch.from_batch(training_batch(split, pieces, Augmentation(), [0]), "cpu")
        real = int(batch.mask.sum())
        trainer.compute_gradient([batch], (0, batch.mask.shape[1]), real, [0, number])
        trainer.step(settings.initial_rate)
        frames += real if number or len(split) <= settings.batch_size else 0
        if number and time.perf_counter() - begun > MEASURED:
            break
    trained = (time.perf_counter() - begun) / max(1, frames)
    return split.frames * trained + _evaluation_seconds(trainer.model, opened) + SAVING


def _await_orphans(run: Path) -> None:
    """Wait for the process of a parent that was killed: it saves the run and ends by itself."""
    deadline = time.monotonic() + GRACE
    while True:
        try:
            with exclusive(run):
                return
        except FileError as error:
            if error.__cause__ is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _evaluation_seconds(model: MusicRNN, corpus: Corpus) -> float:
    frames, begun = 0, time.perf_counter()
    with torch.no_grad():
        for batch in evaluation_batches(corpus["valid"]):
            loaded = TrainingBatch.from_batch(batch, "cpu")
            model.eval().score(loaded.frames, loaded.mask, loaded.inputs)
            frames += int(loaded.mask.sum())
            if time.perf_counter() - begun > MEASURED:
                break
    return (time.perf_counter() - begun) / frames * corpus["valid"].frames


@cache
def _corpus(directory: str) -> Corpus:
    return open_corpus(directory)


class _ReachedError(Exception):
    """A training has had its epochs for now."""


class _Until(Callback):
    """Ends a training after so many epochs; it is saved then, and can go on."""

    def __init__(self, epochs: int | None) -> None:
        self.epochs = epochs

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """End it if it has had them."""
        self._look(len(done))

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """End it if it has had them."""
        self._look(metrics.epoch)

    def _look(self, done: int) -> None:
        if self.epochs is not None and done >= self.epochs:
            raise _ReachedError
