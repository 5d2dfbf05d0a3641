"""The training loop: epochs with early stopping, the best weights kept, every update repeatable."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from musicrnn.checkpoint import (
    Epoch,
    load_model,
    load_weights,
    new_model,
    save_config,
    save_weights,
    write_metrics,
)
from musicrnn.corpus import Corpus, Split
from musicrnn.corpus.batches import (
    Augmentation,
    Batch,
    evaluation_batches,
    training_batch,
    training_order,
)
from musicrnn.errors import ModelError, UsageError
from musicrnn.files import exclusive
from musicrnn.nn import MusicRNN
from musicrnn.nn.settings import DropoutSettings
from musicrnn.plots.curves import plot_curves
from musicrnn.settings import flatten
from musicrnn.training.callbacks import Callback
from musicrnn.training.card import write_results
from musicrnn.training.distributed import World
from musicrnn.training.interruption import interruption
from musicrnn.training.recipe import Recipe
from musicrnn.training.run import (
    STATE,
    Position,
    Trained,
    load_state,
    mean_speed,
    save_state,
    state_mismatch,
)
from musicrnn.training.schedules import best_epoch, is_over, learning_rate
from musicrnn.training.trainer import Trainer, TrainingBatch, Update, spans

ON_NAN = ("stop", "skip")

_NO_DROPOUT = DropoutSettings()

LEAST_RATE_SHARE = 2.0**-40
"""What skipped updates may leave of the learning rate before training gives up."""


def train(
    corpus: Corpus,
    recipe: Recipe,
    directory: Path,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    on_nan: str = "stop",
    save_minutes: float = 10.0,
    callbacks: Sequence[Callback] = (),
    world: World | None = None,
    plot: Callable[..., None] = plot_curves,
) -> Trained:
    """Train a network on a corpus and write the run.

    What is drawn in an epoch depends on its number and the seed, so a run that finds its state in
    ``directory`` goes on as if it had never stopped. Without validation pieces the training NLL decides.

    Args:
        corpus: Needs a ``train`` split.
        recipe: The network and how it is trained.
        directory: Where the run goes.
        device: A torch device.
        overwrite: Remove what is in ``directory``, once the new network stands, instead of going on with it.
        on_nan: What to do where the loss or the gradient isn't finite: ``stop``, or ``skip`` to go on from
            the weights before, at half the learning rate. Either way the weights before it are kept.
        save_minutes: How often to save in the middle of an epoch; it is saved at its end anyway.
        callbacks: Called after every update and epoch.
        world: The processes that train together, as ``joined`` gives them; each of them calls this.
        plot: Plots the learning curves, called as ``plot_curves``.

    Returns:
        The best network and its figures.

    Raises:
        CorpusError: The corpus has no training pieces, or its frames are damaged.
        FileError: ``directory`` can't be written, or another process trains there.
        KeyboardInterrupt: SIGINT or SIGTERM came; the run is saved.
        ModelError: The loss became infinite or NaN, or the state found isn't this training's.
        UsageError: Mixed precision without a GPU.
    """
    if recipe.precision != "float32" and not device.startswith("cuda"):
        raise UsageError(f"precision {recipe.precision} needs a GPU, got the device {device}")
    if on_nan not in ON_NAN:
        raise UsageError(f"on_nan must be one of {', '.join(ON_NAN)}, got {on_nan!r}")
    world = world or World()
    with interruption() as asked, exclusive(directory) if world.is_main else nullcontext():
        loop = _Loop(corpus, recipe, directory, device, world, callbacks, overwrite)
        loop.skips, loop.asked, loop.save_seconds = on_nan == "skip", asked, 60 * save_minutes
        done = loop.run()
        if world.is_main:
            write_results(done, corpus, recipe, plot)
        return done


def mean_nll(model: MusicRNN, split: Split, world: World | None = None) -> float:
    """Return the negative log-likelihood of a split, nats per frame."""
    world, device = world or World(), next(model.parameters()).device
    model.eval()
    total = torch.zeros(1, dtype=torch.float64)
    with torch.no_grad():
        for number, batch in enumerate(evaluation_batches(split)):
            if number % world.size == world.rank:
                loaded = TrainingBatch.from_batch(batch, str(device))
                total += model.score(loaded.frames, loaded.mask, loaded.inputs).nats.double().sum().cpu()
    return world.all_reduce(total).item() / split.frames


def make_trainer(corpus: Corpus, recipe: Recipe, device: str = "cpu", world: World | None = None) -> Trainer:
    """Return a network with fresh weights, or those of ``recipe.init_from``, ready to be trained.

    Raises:
        CorpusError: The corpus has no training pieces.
        ModelError: The network to start from is of another shape.
    """
    world, split = world or World(), corpus["train"]
    torch.manual_seed(recipe.seed)
    model = new_model(recipe.network, corpus.facts())
    model.head.start_at(torch.as_tensor(split.rates(), dtype=torch.float32))
    if recipe.init_from is not None:
        start = load_model(recipe.init_from)
        here, there = (
            {"input_size": each.input_size, **flatten(replace(each.settings, regularisation=_NO_DROPOUT))}
            for each in (model, start)
        )
        if here != there:
            differing = [name for name, value in here.items() if there[name] != value]
            wanted, found = ({name: shape[name] for name in differing} for shape in (here, there))
            raise ModelError(f"{recipe.init_from}: expected a network with {wanted}, found {found}")
        model.load_state_dict(start.state_dict())
    model.to(device)
    world.broadcast(model.warm_up)  # the main process compiles, the others load what it compiled
    if not world.is_main:
        model.warm_up()
    return Trainer(model, recipe, split.frames, world)


class _Loop:
    """A training under way."""

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        directory: Path,
        device: str,
        world: World,
        callbacks: Sequence[Callback],
        overwrite: bool,
    ) -> None:
        self.corpus, self.recipe, self.directory = corpus, recipe, directory
        self.device, self.world, self.callbacks = device, world, callbacks
        self.split = corpus["train"]
        self.skips, self.save_seconds = False, 600.0
        self.asked: Callable[[], bool] = lambda: False
        self.trainer = make_trainer(corpus, recipe, device, world)
        self.started = self.saved = time.monotonic()
        self.position = Position()
        if world.is_main and overwrite and directory.is_dir():
            shutil.rmtree(directory)
        self._resume()
        if world.is_main:
            save_config(directory, self.trainer.model, recipe.to_dict())
            write_metrics(directory, self.position.history)

    def run(self) -> Trained:
        """Train until the recipe has it enough."""
        position, model = self.position, self.trainer.model
        for callback in self.callbacks:
            callback.begin(model, self.split.frames, position.history, position.batch)
        with model.fitting_threads(self.recipe.batch_size, self.split.frames / max(1, len(self.split))):
            while not is_over(self.recipe, position.nlls):
                self._epoch()
            return self._finish()

    def _resume(self) -> None:
        """Put everything back to where it was when it was saved, if it was."""
        found = self.world.broadcast(
            lambda: load_state(self.directory) if (self.directory / STATE).exists() else None
        )
        if found is None:
            return
        tensors, self.position = found
        try:
            self.trainer.load(tensors)
        except (RuntimeError, KeyError, ValueError) as error:
            raise state_mismatch(self.directory, error) from error

    def _save(self) -> None:
        """Save where the training is."""
        now = time.monotonic()
        self.position.seconds += now - self.saved
        self.saved = now
        if self.world.is_main:
            save_state(self.directory, self.trainer.state(), self.position)

    def _epoch(self) -> None:
        """Pass over the training pieces, from where the position is, and over the validation pieces."""
        recipe, position, trainer = self.recipe, self.position, self.trainer
        number, begun = len(position.history), time.monotonic() - position.epoch_seconds
        order = training_order(self.split, recipe.batch_size, [recipe.seed, number], recipe.chunk_frames)
        for batches in self._batches(order[position.batch :], number):
            trainer.model.train()
            asked = self._update(order, batches, number)
            position.epoch_seconds = time.monotonic() - begun
            late = time.monotonic() - self.saved > self.save_seconds
            if asked or late:
                self._save()
            if asked:
                raise KeyboardInterrupt
        spent = time.monotonic() - begun
        nll = position.nats / position.frames if position.frames else math.inf
        with trainer.evaluated():
            judged = (
                mean_nll(trainer.model, self.corpus["valid"], self.world) if "valid" in self.corpus else nll
            )
            judged = judged if math.isfinite(judged) else math.inf
            best = judged < min(position.nlls, default=math.inf) or not position.nlls
            if best and self.world.is_main:
                save_weights(self.directory, trainer.model.state_dict())
        rate = learning_rate(recipe, position.nlls, 1.0, position.updates) * position.rate_share
        metrics = Epoch(
            epoch=number + 1,
            train_nll=nll,
            valid_nll=judged,
            learning_rate=rate,
            gradient_norm=position.norms / max(1, position.steps),
            frames_per_second=position.frames / spent,
            seconds=position.seconds + time.monotonic() - self.saved,
            padding=1 - position.frames / max(1, position.computed),
            skipped=position.skipped,
        )
        position.next_epoch(metrics)
        self._save()
        for callback in self.callbacks:
            callback.epoch(metrics, best)
        if self.world.all_reduce(torch.tensor(float(self.asked()))) and not is_over(recipe, position.nlls):
            raise KeyboardInterrupt

    def _batches(self, order: list[list[int]], epoch: int) -> Iterator[list[TrainingBatch]]:
        """Yield the batches of each update; the next ones are loaded while these are trained on."""
        recipe = self.recipe
        augmentation = Augmentation(*recipe.semitones_in(epoch), recipe.input_noise)

        def load(batches: list[list[int]]) -> list[Batch]:
            return [self._share(pieces, augmentation, epoch) for pieces in batches]

        groups = [
            order[start : start + recipe.accumulate] for start in range(0, len(order), recipe.accumulate)
        ]
        with ThreadPoolExecutor(1) as loader:
            following = loader.submit(load, groups[0]) if groups else None
            for number in range(len(groups)):
                assert following is not None
                loaded = following.result()
                if number + 1 < len(groups):
                    following = loader.submit(load, groups[number + 1])
                yield [TrainingBatch.from_batch(batch, self.device) for batch in loaded]

    def _share(self, pieces: list[int], augmentation: Augmentation, epoch: int) -> Batch:
        """Load this process's share of a batch; where there is none, a piece that doesn't count."""
        mine = self.world.share(pieces)
        batch = training_batch(self.split, mine or pieces[:1], augmentation, [self.recipe.seed, epoch])
        return batch if mine else batch._replace(mask=batch.mask & False)

    def _update(self, order: list[list[int]], batches: list[TrainingBatch], epoch: int) -> bool:
        """Train on the batches of an update, or chunk by chunk of several; return whether to stop."""
        recipe, position, asked = self.recipe, self.position, False
        first = position.batch
        pieces = [piece for batch in order[first : first + len(batches)] for piece in batch]
        lengths = self.split.lengths[pieces]
        for span in spans(int(lengths.max()), recipe.chunk_frames):
            frames = int((lengths.clip(*span) - span[0]).sum())
            seed = [recipe.seed, epoch, first, span[0], position.skipped]
            update = self.trainer.compute_gradient(batches, span, frames, seed, self.asked())
            asked = asked or update.stop
            if not update.is_finite:
                self._handle_nonfinite(update, epoch, first, pieces[0])
                break
            part = first / len(order)
            rate = learning_rate(recipe, position.nlls, part, position.updates) * position.rate_share
            self.trainer.step(rate, recipe.average != "polyak" or epoch + 1 >= recipe.average_start)
            position.updates += 1
            position.steps += 1
            position.nats += update.nats
            position.frames += frames
            position.computed += update.computed
            position.norms += update.norm
            for callback in self.callbacks:
                callback.advance(frames)
        position.batch += len(batches)
        return asked or (self.world.size == 1 and self.asked())

    def _handle_nonfinite(self, update: Update, epoch: int, batch: int, first: int) -> None:
        """Go back to the weights before the last step and lower the rate; stop unless told to skip."""
        position = self.position
        self.trainer.rollback()
        position.rate_share /= 2
        position.skipped += 1
        name = self.split.pieces[first if update.nonfinite_piece is None else update.nonfinite_piece].name
        what = (
            f"loss became {update.nats}"
            if update.nats - update.nats != 0
            else f"gradient became {update.norm}"
        )
        where = f"the {what} in epoch {epoch + 1}, batch {batch + 1}, at {name}"
        if self.skips and position.rate_share >= LEAST_RATE_SHARE:
            text = f"{where}; restored the previous weights, at {position.rate_share:g} of the learning rate"
            for callback in self.callbacks:
                callback.warn(text)
            return
        if self.world.is_main and not (self.directory / "model.safetensors").exists():
            save_weights(self.directory, self.trainer.model.state_dict())
        self._save()
        raise ModelError(
            f"{where}; the weights before are kept, and --resume goes on from them at half the learning "
            "rate; --on-nan skip does so by itself"
        )

    def _finish(self) -> Trained:
        """Load the best weights, measure them, and write what is written once."""
        model, corpus = self.trainer.model, self.corpus
        model.load_state_dict(self.world.broadcast(lambda: load_weights(self.directory, model.state_dict())))
        model.eval()
        nlls = {split: mean_nll(model, corpus[split], self.world) for split in corpus}
        model.to("cpu")
        history = self.position.history
        return Trained(
            model=model,
            directory=self.directory,
            history=history,
            best_epoch=best_epoch(self.position.nlls) + 1,
            train_nll=nlls["train"],
            valid_nll=nlls.get("valid"),
            test_nll=nlls.get("test"),
            seconds=time.monotonic() - self.started,
            frames_per_second=mean_speed(history),
            padding=sum(epoch.padding for epoch in history) / len(history),
        )
