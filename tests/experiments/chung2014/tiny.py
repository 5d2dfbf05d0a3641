"""The reproduction in small: three rates, networks of a few units, trained for a handful of epochs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from musicrnn.corpus import Corpus, open_corpus
from musicrnn.errors import MusicRNNError
from musicrnn.experiments import chung2014, trials
from musicrnn.experiments.chung2014 import progress, reproduce, settings
from musicrnn.processes.pool import Done, Job

TRAINING = settings.Training(batch_size=4, epochs=4, patience=4, rungs=(1, 2))


def shrink(put: Callable[[object, str, Any], None] = setattr) -> None:
    """Make the reproduction small."""
    put(settings, "TRAININGS", dict.fromkeys(settings.TRAININGS, TRAINING))
    put(settings, "UNITS", {"tanh": 5, "gru": 4, "lstm": 3})
    put(settings, "RATES", 3)
    put(settings, "KEPT", (2, 1))
    put(settings, "BEST_RATES", {data: dict.fromkeys(settings.UNITS, 2) for data in settings.TRAININGS})


class Here:
    """Does jobs in this process, one at a time, in place of a pool."""

    def __init__(self, size: int) -> None:
        self.done: Done | None = None

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    @property
    def free(self) -> int:
        return 1 if self.done is None else 0

    def start(self, job: Job) -> None:
        module, _, name = job.work.partition(":")
        try:
            self.done = Done(job, getattr(importlib.import_module(module), name)(**job.arguments))
        except MusicRNNError as error:
            self.done = Done(job, error=error)

    def wait(self) -> Done | None:
        done, self.done = self.done, None
        return done


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the reproduction small, in this process and without plots."""

    def no_curves(_: object, path: Path, **options: object) -> None:
        path.touch()

    def no_figure(title: str, rows: object, path: Path) -> None:
        path.touch()

    shrink(monkeypatch.setattr)
    monkeypatch.setattr(chung2014, "Pool", Here)
    monkeypatch.setattr(trials, "train", partial(trials.train, plot=no_curves))
    monkeypatch.setattr(progress, "MEASURED", 0.01)
    monkeypatch.setattr("musicrnn.experiments.chung2014.report.plot_data", no_figure)


def named(corpus: Corpus, name: str) -> Corpus:
    """Return a corpus under the name of a data set."""
    other = open_corpus(corpus.directory)
    other.name = name
    return other


def main() -> None:
    """Reproduce in a process of its own: folder of the corpus, output folder, epochs."""
    global TRAINING
    TRAINING = settings.Training(batch_size=4, epochs=int(sys.argv[3]), patience=10**6, rungs=(1, 2))
    shrink()
    jsb = named(open_corpus(sys.argv[1]), "jsb")
    reproduce([jsb], ["gru"], Path(sys.argv[2]), workers=2, log=lambda line: print(line, file=sys.stderr))


if __name__ == "__main__":
    main()
