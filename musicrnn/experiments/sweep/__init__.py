"""Hyper-parameter search: trials of a study are ordinary runs, kept in one folder.

Optuna draws the settings and keeps the study, in a journal beside the runs or in a database that many
machines share. A sweep that ends early, however that happens, goes on when the same call is made again.

References:
    Akiba et al. 2019, arXiv:1907.10902; Bergstra and Bengio 2012 (random search); Bergstra et al. 2011 (TPE);
    Li et al. 2020, arXiv:1810.05934 (asynchronous successive halving).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from musicrnn.corpus import Corpus
from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.experiments.sweep.plan import PRUNERS, SAMPLERS, Plan, make_plan
from musicrnn.experiments.sweep.processes import Job, run_workers
from musicrnn.experiments.sweep.report import plot_trials, ranked, rows, show, write_table
from musicrnn.experiments.sweep.space import Choices, Range, Space, make_space, read_space
from musicrnn.experiments.sweep.study import Study, Trial, open_study
from musicrnn.files import write_json
from musicrnn.training.recipe import Recipe

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "Choices",
    "Found",
    "Listener",
    "Range",
    "Space",
    "Trial",
    "make_space",
    "read_space",
    "rows",
    "show",
    "sweep",
]


class Listener(Protocol):
    """Is told how a sweep goes on, wherever its trials are done."""

    def begin(self, done: int, trials: int) -> None:
        """The sweep starts, with so many of its trials done."""

    def epoch(self, trial: Trial) -> None:
        """A trial was trained for another epoch."""

    def finished(self, trial: Trial, best: Trial | None) -> None:
        """A trial is done; ``best`` is the best of all that are complete."""

    def died(self, how: str) -> None:
        """A worker was killed; the others go on with its trial."""


@dataclass(frozen=True)
class Found:
    """What came of a sweep.

    Attributes:
        trials: All trials, best first; pruned and failed ones come last.
        best: The best one.
        config: The settings of the best one, a file for ``musicrnn train --config``.
        threads: Threads that repeat it to the last bit, where that isn't how many torch has here; else None.
        table: The trials as comma-separated values.
        picture: The validation NLL beside each setting.
    """

    trials: list[Trial]
    best: Trial
    config: Path
    threads: int | None
    table: Path
    picture: Path


def sweep(
    corpus: Corpus,
    base: Recipe,
    space: Space,
    directory: Path,
    *,
    trials: int = 10,
    sampler: str = "random",
    pruner: str = "none",
    storage: str | None = None,
    workers: int = 1,
    device: str = "cpu",
    listener: Listener | None = None,
) -> Found:
    """Search for the recipe with the lowest validation NLL.

    Args:
        corpus: Needs training and validation pieces.
        base: The settings that aren't searched; its seed seeds the draws.
        space: The settings that are.
        directory: Where the runs go, and the study if it has no storage of its own. The name of the folder is
            the name of the study, which machines with a common storage must agree on.
        trials: How many trials the study is to have in all, earlier ones counted.
        sampler: How settings are drawn, among ``SAMPLERS``.
        pruner: How trials that go badly are ended, among ``PRUNERS``.
        storage: Optuna's name of a database; None is a journal in the folder.
        workers: Processes that do trials at the same time; with one it is this process, 0 is one per core.
        device: A torch device; with several workers, ``cuda`` is all GPUs in turn.
        listener: Is told of every trial and epoch.

    Raises:
        CorpusError: The corpus has no validation pieces, or is damaged.
        FileError: The folder can't be written.
        ModelError: The folder holds something else.
        MusicRNNError: No trial could be completed, workers were killed, or the storage can't be used.
        UsageError: Optuna isn't installed, settings don't fit together, or the folder has another sweep.
    """
    if trials < 1:
        raise UsageError(f"trials must be at least 1, got {trials}")
    if workers < 0:
        raise UsageError(f"workers must be at least 0, got {workers}")
    plan = make_plan(corpus, base, space, sampler, pruner)
    with open_study(directory, plan, storage) as study:
        follower = _Follower(study, listener)
        done = follower.begin(trials)
        count = min(workers or os.cpu_count() or 1, max(1, trials - done))
        if count > 1:
            jobs = _jobs(corpus, directory, trials, storage, device, count)
            deaths = run_workers(jobs, follower.look, listener.died if listener else lambda _: None)
        else:
            from musicrnn.experiments.sweep.trials import Worker

            Worker(study, corpus, trials, device, follower.look).work()
            deaths = []
        found = [trial for trial in study.trials() if trial.state != "running" or trial.number < trials]
        done = sum(trial.state != "running" for trial in found)
        if done < trials:
            raise MusicRNNError(
                f"{directory}: expected {trials} trials, found {done} done and workers ended by "
                f"{', '.join(deaths)}; the same command goes on"
            )
    return _report(found, plan, corpus, directory, on_cpu=device == "cpu")


class _Follower:
    """Tells a listener what has changed in a study since it last looked."""

    def __init__(self, study: Study, listener: Listener | None) -> None:
        self.study = study
        self.listener = listener
        self.known: dict[int, Trial] = {}

    def begin(self, trials: int) -> int:
        """Tell how much is done, and return it."""
        self.known = {trial.number: trial for trial in self.study.trials()}
        done = sum(trial.state != "running" for trial in self.known.values())
        if self.listener is not None:
            self.listener.begin(done, trials)
        return done

    def look(self) -> None:
        """Tell what is new."""
        if self.listener is None:
            return
        trials = self.study.trials()
        best = _best(trials)
        for trial in trials:
            before = self.known.get(trial.number)
            if before == trial:
                continue
            self.known[trial.number] = trial
            if trial.epochs > (before.epochs if before else 0):
                self.listener.epoch(trial)
            if trial.state != "running":
                self.listener.finished(trial, best)


def _jobs(
    corpus: Corpus, directory: Path, trials: int, storage: str | None, device: str, count: int
) -> list[Job]:
    """Return what each of several workers is to do."""
    import torch

    gpus = torch.cuda.device_count() if device == "cuda" else 0
    return [
        Job(
            corpus=str(corpus.directory),
            directory=str(directory),
            trials=trials,
            storage=storage,
            device=f"cuda:{index % gpus}" if gpus > 1 else device,
            threads=max(1, torch.get_num_threads() // count),
        )
        for index in range(count)
    ]


def _report(trials: Sequence[Trial], plan: Plan, corpus: Corpus, directory: Path, on_cpu: bool) -> Found:
    """Write what is written at the end."""
    best = _best(trials)
    if best is None:
        reasons = [trial.reason for trial in trials if trial.reason]
        last = f"; the last: {reasons[-1]}" if reasons else ""
        raise MusicRNNError(
            f"{directory}: expected a trial that completes, found none of {len(trials)}{last}"
        )
    config = best.run / "config.json"
    if not config.exists():  # another machine's run
        config = directory / "best.json"
        write_json(config, {**plan.base.to_dict(), **best.settings})
    threads = _threads(corpus, plan.base.replaced(**best.settings), best.threads) if on_cpu else None
    found = Found(ranked(trials), best, config, threads, directory / "table.csv", directory / "sweep.png")
    write_table(found.trials, plan.space, found.table)
    title = (
        f"{len(trials)} trials on {corpus.name}: the best is number {best.number} with {best.valid_nll:.3f}"
    )
    plot_trials(found.trials, plan.space, found.picture, title)
    return found


def _threads(corpus: Corpus, recipe: Recipe, used: int) -> int | None:
    """Return how many threads a training had, if it would have another number here.

    A large network shares its sums between threads, and the last bits depend on how.
    """
    import torch

    from musicrnn.checkpoint import new_model

    with torch.device("meta"):
        model = new_model(recipe.network, corpus.facts())
    split = corpus["train"]
    with model.fitting_threads(recipe.batch_size, split.frames / len(split)):
        return used if used and torch.get_num_threads() not in (1, used) else None


def _best(trials: Sequence[Trial]) -> Trial | None:
    return next((trial for trial in ranked(trials) if trial.state == "complete"), None)
