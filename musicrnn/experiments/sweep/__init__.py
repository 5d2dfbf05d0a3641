"""Hyper-parameter search: its trials are ordinary runs, kept in one folder.

Optuna samples the settings and stores the trials, in a journal beside the runs or in a database that many
machines share. A sweep that was interrupted or killed continues when the same call is made again.

References:
    Akiba et al. 2019, arXiv:1907.10902; Bergstra and Bengio 2012 (random search); Bergstra et al. 2011 (TPE);
    Li et al. 2020, arXiv:1810.05934 (asynchronous successive halving).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from musicrnn.corpus import Corpus
from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.experiments.sweep.settings import SweepSettings, make_settings
from musicrnn.experiments.sweep.space import Space
from musicrnn.experiments.sweep.store import Trial, TrialStore, open_store, ranked
from musicrnn.files import write_bytes, write_json
from musicrnn.plots.study import plot_sweep
from musicrnn.training.recipe import Recipe


class SweepCallback(Protocol):
    """Methods that are called during a sweep, whichever process trains the trials."""

    def begin(self, done: int, trials: int) -> None:
        """Called when the sweep starts, with the number of its finished trials."""

    def epoch(self, trial: Trial) -> None:
        """Called when a trial has been trained for another epoch."""

    def finished(self, trial: Trial, best: Trial | None) -> None:
        """Called when a trial is done; ``best`` is the best of all that are complete."""

    def died(self, how: str) -> None:
        """Called when a worker was killed, with its signal or status; the others take over its trial."""


@dataclass(frozen=True)
class SweepResult:
    """The outcome of a sweep.

    Attributes:
        trials: All trials, best first; pruned and failed ones come last.
        best: The best one.
        config: The settings of the best one, a file for ``musicrnn train --config``.
        threads: Threads that repeat it to the last bit, if torch has another number here; else None.
        table: The trials as comma-separated values.
        picture: The validation NLL against each setting.
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
    callback: SweepCallback | None = None,
) -> SweepResult:
    """Search for the recipe with the lowest validation NLL.

    Args:
        corpus: The training and validation pieces.
        base: The settings that aren't searched; its seed seeds the sampling.
        space: The settings that are searched.
        directory: The folder of the runs, and of the trials if there is no other storage. Its name is the
            name of Optuna's study, which machines with a common storage must agree on.
        trials: How many trials the sweep is to have in all, earlier ones counted.
        sampler: How settings are sampled, ``random`` or ``tpe``.
        pruner: How bad trials are ended early, ``none``, ``median`` or ``halving``.
        storage: Optuna's name of a database; None is a journal in the folder.
        workers: Processes that train trials at the same time; with one it is this process, 0 is one per core.
        device: A torch device; with several workers, ``cuda`` is all GPUs in turn.
        callback: Is called with every trial and epoch.

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
    from musicrnn.experiments.sweep.worker import SweepWorker

    settings = make_settings(corpus, base, space, sampler, pruner)
    with open_store(directory, settings, storage) as store:
        done = sum(trial.state != "running" for trial in store.trials())
        if callback is not None:
            callback.begin(done, trials)
        count = min(workers or os.cpu_count() or 1, max(1, trials - done))
        worker = SweepWorker(store, corpus, trials, device, _follower(store, callback))
        deaths: list[str] = []
        if count > 1:
            deaths = worker.run_in_processes(count, callback.died if callback else lambda _: None)
        else:
            worker.run()
        found = [trial for trial in store.trials() if trial.state != "running" or trial.number < trials]
        done = sum(trial.state != "running" for trial in found)
        if done < trials:
            raise MusicRNNError(
                f"{directory}: expected {trials} trials, found {done} done and workers ended by "
                f"{', '.join(deaths)}; the same command continues"
            )
    return _report(found, settings, corpus, directory, on_cpu=device == "cpu")


def rows(trials: Sequence[Trial], space: Space) -> list[dict[str, Any]]:
    """Return the trials, in their order, as JSON values by column."""
    columns = ("number", "state", "valid_nll", "epochs", "reason")
    return [
        {
            "run": str(trial.run),
            **{name: getattr(trial, name) for name in columns},
            **{name: trial.settings.get(name) for name in space},
        }
        for trial in trials
    ]


def _follower(store: TrialStore, callback: SweepCallback | None) -> Callable[[], None]:
    """Return a function that calls the callback with what has changed, whichever process changed it."""
    known = {trial.number: trial for trial in store.trials()}

    def update() -> None:
        trials = store.trials() if callback else []
        for trial in trials:
            before = known.get(trial.number)
            if callback is None or before == trial:
                continue
            known[trial.number] = trial
            if trial.epochs > (before.epochs if before else 0):
                callback.epoch(trial)
            if trial.state != "running":
                callback.finished(trial, _best(trials))

    return update


def _report(
    trials: Sequence[Trial], settings: SweepSettings, corpus: Corpus, directory: Path, on_cpu: bool
) -> SweepResult:
    """Write the table, the plot and the settings of the best trial."""
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
        write_json(config, {**settings.base.to_dict(), **best.settings})
    threads = _threads(corpus, settings.base.replaced(**best.settings), best.threads) if on_cpu else None
    result = SweepResult(
        ranked(trials), best, config, threads, directory / "table.csv", directory / "sweep.png"
    )
    lines, buffer = rows(result.trials, settings.space), io.StringIO()
    table = csv.DictWriter(buffer, lines[0])
    table.writeheader()
    table.writerows(lines)
    write_bytes(result.table, buffer.getvalue().encode())
    outcome = f"the best is number {best.number} with {best.valid_nll:.3f}"
    title = f"{len(trials)} trials on {corpus.name}: {outcome}"
    plot_sweep([vars(trial) for trial in result.trials], settings.space, result.picture, title)
    return result


def _threads(corpus: Corpus, recipe: Recipe, used: int) -> int | None:
    """Return how many threads a training had, if it would have another number here.

    A large network splits its sums between threads, and the last bits depend on how.
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
