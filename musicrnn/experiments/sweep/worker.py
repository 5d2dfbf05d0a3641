"""A worker of a sweep: trains the trials that no other worker trains, one after another, until all are done.

Workers coordinate through file locks only. The process that trains a trial holds its claim, which ends with
the process: a trial that is running by the storage but claimed by no process was interrupted, and the next
free worker continues it. Where machines share a storage but no folder, a trial belongs to the folder that it
names, and whoever trains it writes a heartbeat every minute; after a quarter of an hour without one another
machine takes the trial over and trains it from the start, with the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from musicrnn.checkpoint import Epoch
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.errors import UsageError
from musicrnn.experiments.sweep.settings import SweepSettings
from musicrnn.experiments.sweep.store import TrialStore, open_store, without_warnings
from musicrnn.experiments.trials import StopTrialError, TrialRecord, claim, read_trial, run_jobs, run_trial
from musicrnn.nn import MusicRNN
from musicrnn.processes.pool import Done, Job, Pool
from musicrnn.training.callbacks import Callback

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

PAUSE = 0.5
"""Seconds between checks of what other workers do."""
BEAT = 60.0
"""Seconds between heartbeats of a trial whose folder other machines can't see."""
LOST = 15 * BEAT
"""Seconds without a heartbeat after which such a trial is taken over."""
SETTLE = 2.0
"""Seconds after which machines that reach for the same trial have all written so; the last one gets it."""


@dataclass(eq=False)
class SweepWorker:
    """Trains a sweep's trials until there are ``count``.

    ``changed`` is called whenever something may have changed, and while waiting for other workers.
    """

    store: TrialStore
    corpus: Corpus
    count: int
    device: str
    changed: Callable[[], None]
    _last_signs: dict[int, tuple[object, float]] = field(default_factory=dict)

    def run(self) -> None:
        """Train in this process until all trials are done, here or elsewhere.

        Raises:
            CorpusError: The corpus is damaged.
            FileError: A run can't be written.
        """
        while True:
            stored = self.store.stored()
            running = [trial for trial in stored[: self.count] if trial.state.name == "RUNNING"]
            if any(self._continue(trial) for trial in running):
                continue
            if len(stored) < self.count:
                self._begin()
            elif running:
                self.changed()
                time.sleep(PAUSE)
            else:
                return

    def run_in_processes(self, count: int, died: Callable[[str], None]) -> list[str]:
        """Train in ``count`` processes, which share the cores and the GPUs, until all have ended.

        Returns:
            The signals or statuses of processes that were killed, for which ``died`` was called; the others
            have taken over their trials.

        Raises:
            MusicRNNError: What a process raised.
        """
        gpus = torch.cuda.device_count() if self.device == "cuda" else 0
        threads = max(1, torch.get_num_threads() // count)
        arguments = {
            "corpus": str(self.corpus.directory),
            "directory": str(self.store.directory),
            "settings": self.store.settings.to_dict(),
            "storage": self.store.url,
            "trials": self.count,
            "threads": threads,
        }
        jobs, deaths = dict[int, Job](), list[str]()
        for index in range(count):
            device = f"cuda:{index % gpus}" if gpus > 1 else self.device
            jobs[index] = Job(f"{__name__}:work", {**arguments, "device": device})

        def finished(index: int, done: Done) -> None:
            del jobs[index]
            if done.error is not None:
                raise done.error
            if done.death:
                deaths.append(done.death)
                died(done.death)

        with Pool(count, threads) as pool:
            run_jobs(pool, lambda: jobs, finished, self.changed)
        self.changed()
        return deaths

    def _continue(self, trial: FrozenTrial) -> bool:
        """Train a trial if it was interrupted; return whether it was."""
        return self._belongs_here(trial) and self._train(trial._trial_id, trial.number)

    def _begin(self) -> None:
        """Train a new trial."""
        trial = self.store.create()
        if trial.number < self.count:
            self._train(trial._trial_id, trial.number)
        else:  # others were quicker; if the sweep is to have more trials later, any folder may take this one
            trial.set_user_attr("folder", "")

    def _belongs_here(self, trial: FrozenTrial) -> bool:
        """Whether a running trial belongs to this folder, which may take it over now."""
        folder = trial.user_attrs.get("folder")
        if folder == self.store.folder:
            return True
        if folder:
            sign = (trial.user_attrs, trial.params, trial.intermediate_values)
            last, since = self._last_signs.get(trial.number, (None, 0.0))
            if sign != last:
                self._last_signs[trial.number] = sign, time.monotonic()
                return False
            if time.monotonic() - since < LOST:
                return False
        self.store.storage.set_trial_user_attr(trial._trial_id, "folder", self.store.folder)
        time.sleep(SETTLE)
        owner = self.store.storage.get_trial(trial._trial_id).user_attrs["folder"]
        return bool(owner == self.store.folder)

    def _train(self, trial_id: int, number: int) -> bool:
        """Train a trial, unless another process trains it or has trained it."""
        directory = self.store.run_folder(number)
        with claim(directory) as claimed:
            if not claimed or not self.store.is_running(trial_id):
                return False
            trial = self.store.open(trial_id)
            try:
                trial.set_user_attr("threads", torch.get_num_threads())
                self.store.finish(trial, self._run(trial, directory))
            except RuntimeError:
                if self.store.is_running(trial_id):
                    raise
                return False  # another machine has taken it over, and was quicker
        self.changed()
        return True

    def _run(self, trial: optuna.Trial, directory: Path) -> TrialRecord:
        settings = self.store.settings
        with without_warnings():
            sampled = settings.sample(trial, trial.number)
        try:
            recipe = settings.base.replaced(**sampled)
        except UsageError as error:
            return TrialRecord("failed", reason=str(error))
        callback = _Reporter(trial, self.store, directory, self.changed)
        return run_trial(self.corpus, recipe, directory, device=self.device, callbacks=[callback])


@dataclass(eq=False)
class _Reporter(Callback):
    """Reports every epoch of a trial to its storage, once, and ends the trial if it is to be pruned."""

    trial: optuna.Trial
    store: TrialStore
    directory: Path
    changed: Callable[[], None]
    last_sign: float = field(default_factory=time.monotonic)

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Report the epochs that were trained earlier and perhaps not reported."""
        for epoch in done:
            self.report(epoch)
        if done and read_trial(self.directory).state != "complete":
            self._prune()

    def advance(self, frames: int) -> None:
        """Write a heartbeat."""
        if self.store.url is not None and time.monotonic() - self.last_sign > BEAT:
            self.last_sign = time.monotonic()
            self.trial.set_user_attr("alive", round(time.time()))

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Report an epoch."""
        self.report(metrics)
        self.changed()
        self._prune()

    def warn(self, text: str) -> None:
        """Keep a warning with the trial."""
        self.trial.set_user_attr("warning", text)

    def report(self, epoch: Epoch) -> None:
        """Report an epoch; Optuna ignores one that was reported before, with a warning."""
        with without_warnings():
            self.trial.report(epoch.valid_nll, epoch.epoch)

    def _prune(self) -> None:
        if self.trial.should_prune():
            raise StopTrialError


def work(
    corpus: str,
    directory: str,
    settings: dict[str, Any],
    storage: str | None,
    trials: int,
    device: str,
    threads: int,
) -> None:
    """Train in this process, one of those that ``run_in_processes`` starts."""
    torch.set_num_threads(threads)
    with open_store(Path(directory), SweepSettings.from_dict(settings), storage) as store:
        SweepWorker(store, open_corpus(corpus), trials, device, lambda: None).run()
