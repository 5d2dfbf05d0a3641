"""The training loop: epochs, validation, early stopping; the best weights are kept."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from musicrnn.checkpoint import Epoch, load_weights, save_config, save_weights, write_metrics
from musicrnn.corpus import Corpus, Split
from musicrnn.corpus.batches import Augmentation, Batch, evaluation_batches, training_batch, training_order
from musicrnn.errors import ModelError, UsageError
from musicrnn.files import exclusive
from musicrnn.nn import MusicRNN
from musicrnn.plots.curves import plot_curves
from musicrnn.processes.child import handled_signals
from musicrnn.training.callbacks import Callback
from musicrnn.training.card import model_card
from musicrnn.training.distributed import ALONE, World
from musicrnn.training.recipe import Recipe
from musicrnn.training.run import STATE, Position, Trained, load_state, save_state, state_mismatch
from musicrnn.training.schedules import best_epoch, is_over, learning_rate
from musicrnn.training.trainer import Trainer, TrainingBatch, Update, make_trainer, spans

ON_NAN = ("stop", "skip")

LEAST_RATE_SHARE = 2.0**-40
"""Share of the learning rate below which training gives up on skipping updates."""


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
    world: World = ALONE,
    plot: Callable[..., None] = plot_curves,
) -> Trained:
    """Train a network on a corpus and write the run.

    A run whose state is in ``directory`` is resumed, with the same result as if it had never stopped: what is
    random in an epoch depends on its number and the seed alone. Without validation pieces the training NLL
    decides which weights are best.

    Args:
        corpus: Needs a ``train`` split.
        recipe: The network and how it is trained.
        directory: The run's folder.
        device: A torch device.
        overwrite: Remove the contents of ``directory``, once the network is built, instead of resuming.
        on_nan: What to do when the loss or the gradient isn't finite: ``stop``, or ``skip`` the update and
            continue at half the learning rate. Either way the weights before it are restored.
        save_minutes: How often to save within an epoch; it is always saved at its end.
        callbacks: Called after every update and epoch.
        world: The processes that train together, as ``joined`` returns them; each of them calls this.
        plot: Plots the learning curves, called as ``plot_curves``.

    Returns:
        The best network and its figures.

    Raises:
        CorpusError: The corpus has no training pieces, or its frames are damaged.
        FileError: ``directory`` can't be written, or another process is using it.
        KeyboardInterrupt: SIGINT or SIGTERM arrived; the run is saved.
        ModelError: The loss became infinite or NaN, or the state in ``directory`` is of another training.
        UsageError: Mixed precision without a GPU.
    """
    if recipe.precision != "float32" and not device.startswith("cuda"):
        raise UsageError(f"precision {recipe.precision} needs a GPU, got the device {device}")
    if on_nan not in ON_NAN:
        raise UsageError(f"on_nan must be one of {', '.join(ON_NAN)}, got {on_nan!r}")
    with interruption() as interrupted, exclusive(directory) if world.is_main else nullcontext():
        trainer = make_trainer(corpus, recipe, device, world)
        if world.is_main and overwrite and directory.is_dir():
            shutil.rmtree(directory)
        skip, seconds = on_nan == "skip", 60 * save_minutes
        trained = _Loop(corpus, recipe, directory, trainer, callbacks, skip, seconds, interrupted).run()
        if world.is_main:
            curves = {
                "train": [epoch.train_nll for epoch in trained.history],
                "validation": [epoch.valid_nll for epoch in trained.history],
            }
            best = trained.best_epoch
            marks, title = {f"best: epoch {best}": best - 1}, f"{recipe.network} on {corpus.name}"
            plot(curves, directory / "curves.png", marks=marks, title=title)
            model_card(directory, trained.model, corpus, recipe, best, trained.nlls)
        return trained


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGINT or SIGTERM arrived; the second raises KeyboardInterrupt.

    So a training can save and end after the first. Signals can only be caught in the main thread.
    """
    arrived = list[int]()

    def handle(number: int, frame: object) -> None:
        if arrived:
            raise KeyboardInterrupt
        arrived.append(number)

    caught = threading.current_thread() is threading.main_thread()
    with handled_signals(handle) if caught else nullcontext():
        yield lambda: bool(arrived)


def mean_nll(model: MusicRNN, split: Split, world: World = ALONE) -> float:
    """Return the negative log-likelihood of a split, nats per frame."""
    device = str(next(model.parameters()).device)
    model.eval()
    total = torch.zeros(1, dtype=torch.float64)
    with torch.no_grad():
        for number, loaded in enumerate(evaluation_batches(split)):
            if number % world.size == world.rank:
                batch = TrainingBatch.from_batch(loaded, device)
                total += model.score(batch.frames, batch.mask, batch.inputs).nats.double().sum().cpu()
    return world.all_reduce(total).item() / split.frames


@dataclass
class _Loop:
    """A training; the arguments are those of ``train``."""

    corpus: Corpus
    recipe: Recipe
    directory: Path
    trainer: Trainer
    callbacks: Sequence[Callback]
    skip_nonfinite: bool
    save_seconds: float
    interrupted: Callable[[], bool]

    def __post_init__(self) -> None:
        self.world, self.split = self.trainer.world, self.corpus["train"]
        self.position = Position()
        self.started = self.saved = time.monotonic()

    def run(self) -> Trained:
        """Train until the stopping rule is met."""
        self._resume()
        recipe, position, model = self.recipe, self.position, self.trainer.model
        if self.world.is_main:
            save_config(self.directory, model, recipe.to_dict())
            write_metrics(self.directory, position.history)
        for callback in self.callbacks:
            callback.begin(model, self.split.frames, position.history, position.batch)
        with model.fitting_threads(recipe.batch_size, self.split.frames / max(1, len(self.split))):
            while not is_over(recipe, position.nlls):
                self._epoch()
            return self._finish()

    def _resume(self) -> None:
        """Restore the saved state, if there is one."""
        found = self.world.broadcast(
            lambda: load_state(self.directory) if (self.directory / STATE).exists() else None
        )
        if found is None:
            return
        state, self.position = found
        try:
            self.trainer.load_state_dict(state)
        except RuntimeError as error:
            raise state_mismatch(self.directory, error) from error

    def _save(self) -> None:
        now = time.monotonic()
        self.position.seconds += now - self.saved
        self.saved = now
        if self.world.is_main:
            save_state(self.directory, self.trainer.state_dict(), self.position)

    def _is_interrupted(self) -> bool:
        """Return whether any process received a signal to stop."""
        return bool(self.world.all_reduce(torch.tensor(float(self.interrupted()))))

    def _learning_rate(self, part: float) -> float:
        """Return the learning rate when a part of the epoch is done."""
        position = self.position
        return learning_rate(self.recipe, position.nlls, part, position.updates) * position.rate_share

    def _epoch(self) -> None:
        """Train on all pieces, or those that a resumed run has left, then validate and save."""
        recipe, position = self.recipe, self.position
        number, begun = len(position.history), time.monotonic() - position.epoch_seconds
        order = training_order(self.split, recipe.batch_size, [recipe.seed, number], recipe.chunk_frames)
        self.trainer.model.train()
        for batches in self._batches(order[position.batch :]):
            self._update(order, batches)
            position.epoch_seconds = time.monotonic() - begun
            interrupted = self._is_interrupted()
            if interrupted or time.monotonic() - self.saved > self.save_seconds:
                self._save()
            if interrupted:
                raise KeyboardInterrupt
        seconds = time.monotonic() - begun
        train_nll = position.nats / position.frames if position.frames else math.inf
        valid_nll, is_best = self._validate(train_nll)
        metrics = Epoch(
            epoch=number + 1,
            train_nll=train_nll,
            valid_nll=valid_nll,
            learning_rate=self._learning_rate(1.0),
            gradient_norm=position.norms / max(1, position.steps),
            frames_per_second=position.frames / seconds,
            seconds=position.seconds + time.monotonic() - self.saved,
            padding=1 - position.frames / max(1, position.computed),
            skipped=position.skipped,
        )
        position.next_epoch(metrics)
        self._save()
        for callback in self.callbacks:
            callback.epoch(metrics, is_best)
        if self._is_interrupted() and not is_over(recipe, position.nlls):
            raise KeyboardInterrupt

    def _validate(self, train_nll: float) -> tuple[float, bool]:
        """Return the validation NLL, or the training NLL without validation pieces, and whether it is best.

        The weights are saved if it is.
        """
        model, corpus, nlls = self.trainer.model, self.corpus, self.position.nlls
        with self.trainer.average.applied(self.trainer.parameters.values):
            nll = mean_nll(model, corpus["valid"], self.world) if "valid" in corpus else train_nll
            nll = nll if math.isfinite(nll) else math.inf
            is_best = not nlls or nll < min(nlls)
            if is_best and self.world.is_main:
                save_weights(self.directory, model.state_dict())
        return nll, is_best

    def _batches(self, order: list[list[int]]) -> Iterator[list[TrainingBatch]]:
        """Yield the batches of each update; the next ones are loaded in the background."""
        recipe, epoch, size = self.recipe, len(self.position.history), self.recipe.accumulate
        augmentation = Augmentation(*recipe.semitones_in(epoch), recipe.input_noise)

        def load(pieces: list[int]) -> Batch:
            """Load this process's share of a batch; if it is empty, a piece that is masked out."""
            mine = pieces[self.world.rank :: self.world.size]
            batch = training_batch(self.split, mine or pieces[:1], augmentation, [recipe.seed, epoch])
            return batch if mine else batch._replace(mask=batch.mask & False)

        groups = [order[start : start + size] for start in range(0, len(order), size)]
        with ThreadPoolExecutor(1) as loader:
            waiting = (loader.submit(list, map(load, group)) for group in groups)
            loading = next(waiting, None)
            while loading is not None:
                loaded, loading = loading.result(), next(waiting, None)
                yield [TrainingBatch.from_batch(batch, self.trainer.device) for batch in loaded]

    def _update(self, order: list[list[int]], batches: list[TrainingBatch]) -> None:
        """Train on the batches of an update, which is several updates if pieces are cut into chunks."""
        recipe, position = self.recipe, self.position
        epoch, first = len(position.history), position.batch
        pieces = [piece for batch in order[first : first + len(batches)] for piece in batch]
        lengths = self.split.lengths[pieces]
        averaged = recipe.average != "polyak" or epoch + 1 >= recipe.average_start
        for span in spans(int(lengths.max()), recipe.chunk_frames):
            frames = int((lengths.clip(*span) - span[0]).sum())
            seed = [recipe.seed, epoch, first, span[0], position.skipped]
            update = self.trainer.compute_gradient(batches, span, frames, seed)
            if not update.is_finite:
                self._handle_nonfinite(update, pieces[0])
                break
            self.trainer.step(self._learning_rate(first / len(order)), averaged)
            position.updates += 1
            position.steps += 1
            position.nats += update.nats
            position.norms += update.norm
            position.frames += frames
            position.computed += update.computed
            for callback in self.callbacks:
                callback.advance(frames)
        position.batch += len(batches)

    def _handle_nonfinite(self, update: Update, first: int) -> None:
        """Restore the weights before the last step and halve the rate; stop, unless updates are skipped."""
        position = self.position
        self.trainer.rollback()
        position.rate_share /= 2
        position.skipped += 1
        name = self.split.pieces[first if update.nonfinite_piece is None else update.nonfinite_piece].name
        quantity, value = ("gradient", update.norm) if math.isfinite(update.nats) else ("loss", update.nats)
        epoch, batch = len(position.history) + 1, position.batch + 1
        where = f"the {quantity} became {value} in epoch {epoch}, batch {batch}, at {name}"
        if self.skip_nonfinite and position.rate_share >= LEAST_RATE_SHARE:
            text = f"{where}; restored the previous weights, at {position.rate_share:g} of the learning rate"
            for callback in self.callbacks:
                callback.warn(text)
            return
        if self.world.is_main and not (self.directory / "model.safetensors").exists():
            save_weights(self.directory, self.trainer.model.state_dict())
        self._save()
        raise ModelError(
            f"{where}; the previous weights are saved: --resume continues from them at half the learning "
            "rate, --on-nan skip does so by itself"
        )

    def _finish(self) -> Trained:
        """Load the best weights and measure them."""
        model, corpus, world = self.trainer.model, self.corpus, self.world
        model.load_state_dict(world.broadcast(lambda: load_weights(self.directory, model.state_dict())))
        nlls = {split: mean_nll(model, corpus[split], world) for split in corpus}
        return Trained(
            model=model.to("cpu"),
            directory=self.directory,
            history=self.position.history,
            best_epoch=best_epoch(self.position.nlls) + 1,
            nlls=nlls,
            seconds=time.monotonic() - self.started,
        )
