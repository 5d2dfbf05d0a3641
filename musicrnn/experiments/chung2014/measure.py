"""What worker processes measure: the figures of a network, and the time of an epoch on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import Augmentation, evaluation_batches, training_batch, training_order
from musicrnn.evaluation import evaluate
from musicrnn.experiments.trials import open_once
from musicrnn.nn import MusicRNN
from musicrnn.processes.pool import Job
from musicrnn.training import Recipe
from musicrnn.training.trainer import TrainingBatch, make_trainer

MEASURED = 0.4
"""Seconds of training that are measured, and as many of evaluation."""
SAVING = 0.02
"""Seconds that saving takes at the end of an epoch."""


def model_job(corpus: Corpus, model: Path) -> Job:
    """Return the job of ``measure_model`` in a worker process."""
    return Job(f"{__name__}:measure_model", {"corpus": str(corpus.directory), "model": str(model)})


def epoch_job(corpus: Corpus, recipe: Recipe) -> Job:
    """Return the job of ``measure_epoch`` in a worker process."""
    return Job(f"{__name__}:measure_epoch", {"corpus": str(corpus.directory), "recipe": recipe.to_dict()})


def measure_model(corpus: str, model: str) -> dict[str, float]:
    """Return the NLLs of a network without noise, under the names of ``Row``, and its ``parameters``."""
    torch.set_num_threads(1)
    network, opened = load_model(model), open_once(corpus)
    test, skip = (evaluate(network, opened, "test", skip_first_frame=skipped) for skipped in (False, True))
    return {
        **{split: evaluate(network, opened, split).nll_per_frame for split in ("train", "valid")},
        "test": test.nll_per_frame,
        "test_skip_first": skip.nll_per_frame,
        "test_per_piece": sum(piece.nll_per_frame for piece in test.pieces) / len(test.pieces),
        "test_skip_first_per_piece": sum(piece.nll_per_frame for piece in skip.pieces) / len(skip.pieces),
        "parameters": network.parameter_count,
    }


def measure_epoch(corpus: str, recipe: dict[str, Any]) -> float:
    """Return the seconds that an epoch takes here, from a short measurement; kernels are compiled first."""
    torch.set_num_threads(1)
    settings, opened = Recipe.of(**recipe), open_once(corpus)
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
