from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import Augmentation, training_batch
from musicrnn.training import Recipe
from musicrnn.training.trainer import Trainer, TrainingBatch, make_trainer, spans

PLAIN = Recipe.of(hidden=8, weight_noise=0.0, input_noise=0.0, clip_norm=0.0)


def load(corpus: Corpus, *batches: list[int]) -> list[TrainingBatch]:
    split = corpus["train"]
    ordered = [sorted(batch, key=lambda piece: -split.lengths[piece]) for batch in batches]
    loaded = [training_batch(split, pieces, Augmentation(), [0]) for pieces in ordered]
    return [TrainingBatch.from_batch(batch, "cpu") for batch in loaded]


def gradient(
    trainer: Trainer, batches: list[TrainingBatch], span: tuple[int, int], frames: int
) -> torch.Tensor:
    trainer.model.train()
    update = trainer.compute_gradient(batches, span, frames, [0])
    assert update.is_finite
    return trainer.parameters.gradients.clone()


def test_the_gradient_is_that_of_the_mean_over_all_real_frames(corpus: Corpus) -> None:
    trainer, (batch,) = make_trainer(corpus, PLAIN), load(corpus, [0, 1, 2])
    frames = int(batch.lengths.sum())
    found = gradient(trainer, [batch], (0, batch.frames.shape[1]), frames)
    trainer.parameters.gradients.zero_()
    (trainer.model.nll(batch.frames, batch.mask).sum() / frames).backward()
    torch.testing.assert_close(found, trainer.parameters.gradients)


def test_batches_accumulated_are_as_good_as_one_large_batch(corpus: Corpus) -> None:
    trainer = make_trainer(corpus, PLAIN)
    parts, (whole,) = load(corpus, [0, 1], [2, 3]), load(corpus, [0, 1, 2, 3])
    frames = int(whole.lengths.sum())
    longest = whole.frames.shape[1]
    expected = gradient(trainer, [whole], (0, longest), frames)
    torch.testing.assert_close(gradient(trainer, parts, (0, longest), frames), expected)


@pytest.mark.parametrize("structure", [{}, {"attention": 2, "pitchwise": 3, "clock": "4"}])
def test_chunks_carry_the_state_and_cut_the_gradient(corpus: Corpus, structure: dict[str, Any]) -> None:
    trainer = make_trainer(corpus, PLAIN.replaced(**structure))
    (batch,) = load(corpus, [0, 1, 2])
    model, longest = trainer.model.train(), batch.frames.shape[1]
    whole = model.score(batch.frames, batch.mask, batch.inputs).nats.detach()
    nats = 0.0
    for start, stop in spans(longest, 6):
        frames = int((batch.lengths.clip(start, stop) - start).sum())
        update = trainer.compute_gradient([batch], (start, stop), frames, [0])
        expected = whole[:, start:stop].sum().item()
        assert update.nats == pytest.approx(expected, rel=1e-5)
        nats += update.nats
        assert batch.state is not None and not batch.state.layers[0][0].requires_grad
    assert nats == pytest.approx(whole.sum().item(), rel=1e-5)

    (again,) = load(corpus, [0, 1, 2])
    trainer.compute_gradient([again], (0, 6), 1, [0])
    state = again.state
    assert state is not None
    frames_, mask, inputs, *_ = again.chunk(6, 12)
    trainer.compute_gradient([again], (6, 12), 1, [0])
    found = trainer.parameters.gradients.clone()
    trainer.parameters.gradients.zero_()
    model.score(frames_, mask, inputs, state.rows(slice(len(mask)))).nats.sum().backward()
    torch.testing.assert_close(found, trainer.parameters.gradients)


def test_rows_that_have_ended_are_left_out(corpus: Corpus) -> None:
    (batch,) = load(corpus, list(range(len(corpus["train"]))))
    shortest, longest = int(batch.lengths[-1]), int(batch.lengths[0])
    assert shortest < longest
    frames, mask, inputs, *_ = batch.chunk(shortest, longest + 5)
    assert len(frames) == len(mask) == len(inputs) == np.count_nonzero(batch.lengths > shortest)
    assert frames.shape[1] == longest - shortest
    _, mask, *_ = batch.chunk(longest, longest + 5)
    assert mask.shape == (1, 1) and not mask.any()


def test_an_update_does_not_depend_on_earlier_random_numbers(corpus: Corpus) -> None:
    recipe = PLAIN.replaced(weight_noise=0.1, dropout=0.3, weight_dropout=0.2)
    trainer, (batch,) = make_trainer(corpus, recipe), load(corpus, [0, 1, 2])
    frames, span = int(batch.lengths.sum()), (0, batch.frames.shape[1])
    first = gradient(trainer, [batch], span, frames)
    torch.randn(7)
    (batch,) = load(corpus, [0, 1, 2])
    assert torch.equal(gradient(trainer, [batch], span, frames), first)
    trainer.compute_gradient(load(corpus, [0, 1, 2]), span, frames, [1])
    assert not torch.equal(trainer.parameters.gradients, first)


@pytest.mark.parametrize("average", ["none", "ema", "polyak"])
def test_a_step_can_be_taken_back(corpus: Corpus, average: str) -> None:
    trainer = make_trainer(corpus, PLAIN.replaced(average=average))
    (batch,) = load(corpus, [0, 1])
    for seed in range(3):
        trainer.compute_gradient([batch], (0, batch.frames.shape[1]), 10, [seed])
        before = {name: tensor.clone() for name, tensor in trainer.state_dict().items()}
        trainer.step(0.1)
    assert not torch.equal(trainer.parameters.values, before["average.values"])
    trainer.rollback()
    for name, tensor in trainer.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_spans_cover_the_frames() -> None:
    assert list(spans(7, 3)) == [(0, 3), (3, 6), (6, 7)]
    assert list(spans(7, 0)) == [(0, 7)]
