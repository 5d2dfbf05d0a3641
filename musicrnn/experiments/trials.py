"""Trials: the runs of a search. One engine trains those of every search.

A trial is a recipe and a run folder. ``run_trial`` trains it up to an epoch or to the end and continues from
what the folder holds, so a trial that was interrupted, killed or trained in several steps ends with the same
bytes as one that was trained at once. Processes coordinate through file locks only: the process that trains a
trial holds its claim, which ends with the process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch

from musicrnn.checkpoint import Epoch, read_metrics
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.errors import FileError, ModelError, UsageError
from musicrnn.files import exclusive
from musicrnn.nn import MusicRNN
from musicrnn.processes.child import GRACE
from musicrnn.processes.pool import Done, Job, Pool
from musicrnn.training import Recipe, read_settings
from musicrnn.training.callbacks import Callback
from musicrnn.training.loop import train
from musicrnn.training.run import STATE, load_state

Key = TypeVar("Key")
open_once = cache(open_corpus)
"""Opens a corpus that several jobs of this process use."""


class StopTrialError(Exception):
    """Raised by a callback to end a trial for now; what was trained is saved."""


@dataclass(frozen=True)
class TrialRecord:
    """How far a trial is.

    Attributes:
        state: On disk ``unfinished``, ``complete`` or ``exploded`` (the loss became infinite or NaN);
            ``run_trial`` may also return ``failed``.
        nlls: Validation NLL of every epoch, nats per frame.
        reason: Why it failed.
    """

    state: str = "unfinished"
    nlls: Sequence[float] = ()
    reason: str = ""

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return len(self.nlls)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        return self.state != "unfinished"

    def best(self, epochs: int | None = None) -> float:
        """Return the lowest validation NLL of the first epochs, or of all."""
        return min((nll for nll in self.nlls[:epochs] if not math.isnan(nll)), default=math.inf)


def read_trial(directory: Path, recipe: Recipe | None = None) -> TrialRecord:
    """Read how far a trial is from its run folder, which may not exist yet.

    Raises:
        FileError: Its metrics are damaged.
        ModelError: Its state is damaged.
        UsageError: Its settings are damaged, or aren't those of ``recipe``.
    """
    if not (directory / "config.json").exists():
        return TrialRecord()
    if recipe is not None:
        found = Recipe.of(**read_settings(directory / "config.json")).to_dict()
        for name, expected in recipe.to_dict().items():
            if found[name] != expected:
                raise UsageError(
                    f"{directory}: expected a run with {name} {expected}, found {found[name]}; choose "
                    "another folder, or remove this one"
                )
    nlls = [epoch.valid_nll for epoch in read_metrics(directory)]
    if (directory / "README.md").exists():  # the model card is written last
        return TrialRecord("complete", nlls)
    return TrialRecord("exploded" if _has_exploded(directory) else "unfinished", nlls)


def run_trial(
    corpus: Corpus,
    recipe: Recipe,
    directory: Path,
    *,
    epochs: int | None = None,
    device: str = "cpu",
    callbacks: Sequence[Callback] = (),
) -> TrialRecord:
    """Train a trial that this process has claimed, or continue it.

    Args:
        corpus: The training and validation pieces.
        recipe: The settings.
        directory: The run folder.
        epochs: Epochs after which to stop for now; None trains to the end and writes the model card.
        device: A torch device.
        callbacks: Called during the training; one may raise ``StopTrialError``.

    Returns:
        How far the trial is now. It has failed where the loss exploded, memory ran out or the settings make
        no network; a trial that exploded in an earlier call isn't continued.

    Raises:
        CorpusError: The corpus is damaged.
        FileError: The folder can't be written.
        KeyboardInterrupt: SIGINT or SIGTERM came; the trial is saved.
    """
    try:
        if _has_exploded(directory):
            raise ModelError(f"{directory}: expected a finite loss, found one that isn't")
        limit = _EpochLimit(math.inf if epochs is None else epochs)
        train(corpus, recipe, directory, device=device, callbacks=[*callbacks, limit])
    except StopTrialError:
        pass
    except (ModelError, UsageError, torch.OutOfMemoryError) as error:
        return TrialRecord("failed", reason=str(error).splitlines()[0])
    return read_trial(directory)


@contextmanager
def claim(directory: Path, patience: float = 0.0) -> Iterator[bool]:
    """Lock a trial for this process while the block runs; yield whether that was possible.

    Args:
        directory: The run folder; the lock is a hidden file beside it.
        patience: Seconds to wait for another process that holds the lock.

    Raises:
        FileError: The lock can't be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(directory.with_name(f"{directory.name}.claim"), patience))
            claimed = True
        except FileError as error:
            if error.__cause__ is not None:  # refused by the system, not held by another process
                raise
            claimed = False
        yield claimed


def run_jobs(
    pool: Pool,
    pending: Callable[[], Mapping[Key, Job]],
    finished: Callable[[Key, Done], None],
    poll: Callable[[], None] = lambda: None,
) -> None:
    """Run jobs in worker processes until none is pending and none is running.

    Args:
        pool: The processes.
        pending: Returns the jobs that can be done now; running ones may be among them.
        finished: Called after every job.
        poll: Called repeatedly in the meantime.
    """
    running: dict[int, Key] = {}
    while True:
        for key, job in pending().items() if pool.free else ():
            if pool.free and key not in running.values():
                running[id(job)] = key
                pool.start(job)
        if not running:
            return
        poll()
        done = pool.wait()
        if done is not None:
            finished(running.pop(id(done.job)), done)


def run_all(pool: Pool, jobs: Mapping[Key, Job]) -> dict[Key, Any]:
    """Run jobs in worker processes and return their results.

    Raises:
        MusicRNNError: One failed.
    """
    results: dict[Key, Any] = {}

    def finished(key: Key, done: Done) -> None:
        results[key] = done.checked()

    run_jobs(pool, lambda: {key: job for key, job in jobs.items() if key not in results}, finished)
    return results


def trial_job(corpus: Corpus, recipe: Recipe, directory: Path, epochs: int | None) -> Job:
    """Return the job of ``run_trial`` in a worker process; its result is why the trial failed, or empty."""
    arguments = {"directory": str(directory), "recipe": recipe.to_dict(), "epochs": epochs}
    return Job(f"{__name__}:train_in_worker", {"corpus": str(corpus.directory), **arguments})


def train_in_worker(corpus: str, directory: str, recipe: dict[str, Any], epochs: int | None) -> str:
    """Do a ``trial_job`` with one thread; first wait for the worker of a killed parent to save the trial."""
    torch.set_num_threads(1)
    path = Path(directory)
    with claim(path, patience=GRACE) as claimed:
        if not claimed:
            raise FileError(f"{path}: another process is training here")
        return run_trial(open_once(corpus), Recipe.of(**recipe), path, epochs=epochs).reason


def _has_exploded(directory: Path) -> bool:
    """Whether a run's loss became infinite or NaN, which lowered the learning rate it would continue with."""
    return (directory / STATE).exists() and load_state(directory)[1].rate_share < 1


@dataclass
class _EpochLimit(Callback):
    """Stops a training after some epochs; it is saved then and can be continued."""

    epochs: float

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Stop if the epochs were trained earlier."""
        if len(done) >= self.epochs:
            raise StopTrialError

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Stop if this was the last of them."""
        if metrics.epoch >= self.epochs:
            raise StopTrialError
