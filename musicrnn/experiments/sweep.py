"""Hyper-parameter search: trials of a study are ordinary runs, kept in one folder.

Optuna keeps the study in a journal file beside the runs, so a sweep goes on where it stopped.

References:
    Akiba et al. 2019, arXiv:1907.10902; Bergstra and Bengio 2012 (random search).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from musicrnn.corpus import Corpus
from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.training import Recipe, Watcher, train


@dataclass(frozen=True)
class Trial:
    """A finished trial: its number, its settings, its run and its validation NLL."""

    number: int
    settings: dict[str, Any]
    run: Path
    valid_nll: float


def sweep(
    corpus: Corpus,
    base: Recipe,
    trials: int,
    directory: Path,
    space: Mapping[str, tuple[float, float]],
    watcher: Callable[[Recipe, Path], Watcher],
) -> list[Trial]:
    """Search for the recipe with the lowest validation NLL by random draws.

    Args:
        corpus: Needs training and validation pieces.
        base: The settings that aren't searched; its seed seeds the draws.
        trials: How many trials the study is to have in all, earlier ones counted.
        directory: Where the study and the runs go.
        space: Bounds of each setting of the recipe that is searched, drawn log-uniformly.
        watcher: Makes the watcher of a trial.

    Returns:
        All finished trials, best first.

    Raises:
        UsageError: Optuna isn't installed, or fewer than one trial is asked for.
    """
    if trials < 1:
        raise UsageError(f"trials must be at least 1, got {trials}")
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
    except ImportError as error:
        raise UsageError("sweep needs Optuna: pip install 'musicrnn[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directory.mkdir(parents=True, exist_ok=True)
    journal = str(directory / "study.journal")
    study = optuna.create_study(
        study_name=corpus.name,
        storage=JournalStorage(JournalFileBackend(journal, lock_obj=JournalFileOpenLock(journal))),
        load_if_exists=True,
    )

    def objective(trial: Any) -> float:
        drawn = {name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in space.items()}
        recipe, run = replace(base, **drawn), directory / f"trial-{trial.number:03d}"
        trained = train(corpus, recipe, run, watcher=watcher(recipe, run))
        return min(epoch.valid_nll for epoch in trained.history)

    while (done := len(_finished(study, directory))) < trials:
        # A sampler seeded by the trials done: resuming draws what an undisturbed sweep would have drawn.
        study.sampler = optuna.samplers.RandomSampler(seed=base.seed * 1_000_003 + done)
        study.optimize(objective, n_trials=1, catch=(MusicRNNError,))
        if len(study.trials) > 10 * trials:
            raise MusicRNNError(
                f"{directory}: expected {trials} finished trials, found {done}; the others failed"
            )
    return sorted(_finished(study, directory), key=lambda trial: trial.valid_nll)


def _finished(study: Any, directory: Path) -> list[Trial]:
    return [
        Trial(trial.number, dict(trial.params), directory / f"trial-{trial.number:03d}", float(trial.value))
        for trial in study.trials
        if trial.state.name == "COMPLETE"
    ]
