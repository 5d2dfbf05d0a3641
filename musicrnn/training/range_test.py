"""Learning-rate range test: one pass with a rising rate, to find where the loss falls and where it diverges.

References:
    Smith 2017, "Cyclical learning rates for training neural networks", arXiv:1506.01186.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import Augmentation, training_batch, training_order
from musicrnn.errors import ModelError
from musicrnn.files import write_json
from musicrnn.plots.curves import plot_range_test
from musicrnn.training.recipe import Recipe
from musicrnn.training.trainer import TrainingBatch, make_trainer

_SMOOTH = 0.9
"""Share of the mean NLL that stays from update to update."""
DIVERGENCE_FACTOR = 2.0
"""Multiple of the first NLL at which the test ends."""


@dataclass(frozen=True)
class RangeTest:
    """Learning rate and smoothed nats per frame of every update.

    Attributes:
        suggested: The rate at which the NLL fell fastest.
        lowest: The rate at which it was lowest.
    """

    rates: list[float]
    nlls: list[float]
    suggested: float
    lowest: float


def range_test(
    corpus: Corpus,
    recipe: Recipe,
    directory: Path,
    *,
    device: str = "cpu",
    bounds: tuple[float, float] = (1e-5, 10.0),
    updates: int = 100,
) -> RangeTest:
    """Raise the learning rate exponentially, update by update; write ``range.json`` and ``range.png``.

    Args:
        corpus: Needs a ``train`` split.
        recipe: The recipe; its learning rate and schedule are ignored.
        directory: Where the files go.
        device: A torch device.
        bounds: The first rate and the last.
        updates: Updates from one to the other.

    Raises:
        CorpusError: The corpus has no training pieces.
        FileError: ``directory`` can't be written.
        ModelError: Not even the lowest rate gives a finite loss.
    """
    trainer, split = make_trainer(corpus, recipe, device), corpus["train"]
    augmentation = Augmentation(*recipe.semitones, recipe.input_noise)
    rates, nlls, mean = list[float](), list[float](), 0.0
    trainer.model.train()
    with trainer.model.fitting_threads(recipe.batch_size, split.frames / len(split)):
        order: list[list[int]] = []
        for number in range(updates):
            order = order or training_order(split, recipe.batch_size, [recipe.seed, number])
            loaded = training_batch(split, order.pop(), augmentation, [recipe.seed, number])
            batch, frames = TrainingBatch.from_batch(loaded, device), int(loaded.mask.sum())
            rate = bounds[0] * (bounds[1] / bounds[0]) ** (number / max(1, updates - 1))
            whole = 0, batch.frames.shape[1]
            update = trainer.compute_gradient([batch], whole, frames, [recipe.seed, number])
            if not update.is_finite:
                break
            mean = _SMOOTH * mean + (1 - _SMOOTH) * update.nats / frames
            nlls.append(mean / (1 - _SMOOTH ** (number + 1)))
            rates.append(rate)
            if nlls[-1] > DIVERGENCE_FACTOR * nlls[0]:
                break
            trainer.step(rate)
    if len(rates) < 3:
        raise ModelError(f"range test: expected a finite loss at a rate of {bounds[0]:g}, found none")
    found = _found(rates, nlls)
    write_json(directory / "range.json", found.__dict__)
    marks = {"fastest": found.suggested, "lowest": found.lowest}
    title = f"{recipe.optimizer}: {recipe.network} on {corpus.name}"
    plot_range_test(rates, nlls, marks, directory / "range.png", title)
    return found


def _found(rates: list[float], nlls: list[float]) -> RangeTest:
    """Take slopes over a tenth of the updates; the first tenth, a mean of few batches, is left out."""
    window = max(1, len(nlls) // 10)
    lowest = min(range(window, len(nlls)), key=nlls.__getitem__)
    slopes = {
        step - window // 2: (nlls[step] - nlls[step - window]) / math.log(rates[step] / rates[step - window])
        for step in range(window, max(window, lowest) + 1)
    }
    return RangeTest(rates, nlls, rates[min(slopes, key=slopes.__getitem__)], rates[lowest])
