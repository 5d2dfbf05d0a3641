"""A worker: does the trials of a study that nobody else does, one after the other, until all are done.

Workers need nobody to tell them what to do. Who works on a trial holds its claim, a lock of the operating
system, which ends with the process. So a trial that the storage calls running and that nobody claims was
interrupted, and the next free worker goes on with it: its settings are in the storage, and its run goes on
from the state in its folder, as if nothing had happened.

Where machines share a storage but no folder, claims don't reach from one to the other. A trial belongs to the
folder that it names; a machine that works on one says so every minute, and when it has been silent for a
quarter of an hour another takes its trial over and trains it from the start, which comes to the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from musicrnn.checkpoint import Epoch
from musicrnn.corpus import Corpus
from musicrnn.errors import FileError, ModelError, UsageError
from musicrnn.experiments.sweep.study import Study, unwarned
from musicrnn.files import exclusive
from musicrnn.nn import MusicRNN
from musicrnn.training import STATE, train
from musicrnn.training.callbacks import Callback
from musicrnn.training.run import load_state

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

PAUSE = 0.5
"""Seconds between looks at what others do."""
BEAT = 60.0
"""Seconds between the signs of life of a trial whose folder others can't see."""
LOST = 15 * BEAT
"""Seconds of silence after which such a trial is taken over."""
SETTLE = 2.0
"""Seconds after which machines that reach for the same trial have all said so; the last one gets it."""


class Worker:
    """Does trials.

    Args:
        study: The study.
        corpus: What is trained on.
        trials: How many trials the study is to have.
        device: A torch device.
        told: Is called whenever something may have changed, and while others are waited for.
    """

    def __init__(
        self, study: Study, corpus: Corpus, trials: int, device: str, told: Callable[[], None]
    ) -> None:
        self.study = study
        self.corpus = corpus
        self.count = trials
        self.device = device
        self.told = told
        self.last_signs: dict[int, tuple[object, float]] = {}

    def work(self) -> None:
        """Do trials until all are done, by whomever.

        Raises:
            CorpusError: The corpus is damaged.
            FileError: A run can't be written.
        """
        while True:
            stored = self.study.stored()
            running = [trial for trial in stored[: self.count] if trial.state.name == "RUNNING"]
            if any(self._go_on(trial) for trial in running):
                continue
            if len(stored) < self.count:
                self._begin()
            elif running:
                self.told()
                time.sleep(PAUSE)
            else:
                return

    def _go_on(self, trial: FrozenTrial) -> bool:
        """Do a trial that was interrupted; return whether this one was."""
        return self._is_to_be_done_here(trial) and self._do(trial._trial_id, trial.number)

    def _begin(self) -> None:
        """Do a new trial."""
        trial = self.study.create()
        if trial.number < self.count:
            self._do(trial._trial_id, trial.number)
        else:  # others were quicker; should more trials be wanted one day, this one is anybody's
            trial.set_user_attr("folder", "")

    def _is_to_be_done_here(self, trial: FrozenTrial) -> bool:
        """Whether a running trial is this folder's, if need be from now on."""
        folder = trial.user_attrs.get("folder")
        if folder == self.study.folder:
            return True
        if folder:
            sign = (trial.user_attrs, trial.params, trial.intermediate_values)
            last, since = self.last_signs.get(trial.number, (None, 0.0))
            if sign != last:
                self.last_signs[trial.number] = sign, time.monotonic()
                return False
            if time.monotonic() - since < LOST:
                return False
        self.study.storage.set_trial_user_attr(trial._trial_id, "folder", self.study.folder)
        time.sleep(SETTLE)
        return self.study.is_ours(trial._trial_id)

    def _do(self, identity: int, number: int) -> bool:
        """Do a trial, unless another does it or has done it."""
        run = self.study.run(number)
        with _claim(run) as claimed:
            if not claimed or not self.study.is_running(identity):
                return False
            trial = self.study.open(identity)
            try:
                trial.set_user_attr("threads", torch.get_num_threads())
                state, value = self._train(trial, run)
                self.study.study.tell(trial, value, state=state, skip_if_finished=True)
            except RuntimeError:
                if self.study.is_running(identity):
                    raise
                return False  # another machine has taken it over, and was quicker
        self.told()
        return True

    def _train(self, trial: optuna.Trial, run: Path) -> tuple[Any, float | None]:
        """Return how a trial ended, and its validation NLL if it was trained to the end."""
        from optuna import TrialPruned
        from optuna.trial import TrialState

        callback = _Reports(trial, self.study, run, self.told)
        try:
            with unwarned():
                settings = self.study.plan.draw(trial, trial.number)
            recipe = self.study.plan.base.replaced(**settings)
            _check_sound(run)
            trained = train(self.corpus, recipe, run, device=self.device, callbacks=[callback])
        except TrialPruned:
            return TrialState.PRUNED, None
        except (ModelError, UsageError, torch.OutOfMemoryError) as error:
            trial.set_user_attr("reason", str(error).splitlines()[0])
            return TrialState.FAIL, None
        for epoch in trained.history:
            callback.report(epoch)
        return TrialState.COMPLETE, min(epoch.valid_nll for epoch in trained.history)


class _Reports(Callback):
    """Reports every epoch of a trial to its study, once, and ends it if the study has it pruned."""

    def __init__(self, trial: optuna.Trial, study: Study, run: Path, told: Callable[[], None]) -> None:
        self.trial = trial
        self.study = study
        self.told = told
        self.finished = (run / "README.md").exists()
        self.reported = set(study.storage.get_trial(trial._trial_id).intermediate_values)
        self.beaten = time.monotonic()

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Report what was done and perhaps not reported."""
        for epoch in done:
            self.report(epoch)
        if done and not self.finished:
            self._decide()

    def advance(self, frames: int) -> None:
        """Give a sign of life."""
        if self.study.shared and time.monotonic() - self.beaten > BEAT:
            self.beaten = time.monotonic()
            self.trial.set_user_attr("alive", round(time.time()))

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Report an epoch."""
        self.report(metrics)
        self.told()
        self._decide()

    def warn(self, text: str) -> None:
        """Keep a warning with the trial."""
        self.trial.set_user_attr("warning", text)

    def report(self, epoch: Epoch) -> None:
        """Report an epoch, unless that was done."""
        if epoch.epoch not in self.reported:
            self.reported.add(epoch.epoch)
            self.trial.report(epoch.valid_nll, epoch.epoch)

    def _decide(self) -> None:
        from optuna import TrialPruned

        if self.trial.should_prune():
            raise TrialPruned


def _check_sound(run: Path) -> None:
    """Refuse to go on with a run that exploded, and that nobody was left to tell of: it would slow down.

    Raises:
        ModelError: It exploded, or its state is damaged.
    """
    if (run / STATE).exists() and load_state(run)[1].rate_share < 1:
        raise ModelError(f"{run}: expected a finite loss, found one that isn't")


@contextmanager
def _claim(run: Path) -> Iterator[bool]:
    """Yield whether a trial is claimed by this process while the block runs."""
    claim = exclusive(run.with_name(f"{run.name}.claim"))
    try:
        claim.__enter__()
    except FileError as error:
        if error.__cause__ is not None:  # the system's refusal, not another worker
            raise
        yield False
        return
    try:
        yield True
    finally:
        claim.__exit__(None, None, None)
