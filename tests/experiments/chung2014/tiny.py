"""The study in small: three rates, networks of a few units, trained for a handful of epochs."""

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
from musicrnn.experiments import chung2014
from musicrnn.experiments.chung2014 import plan, reproduce, work
from musicrnn.processes.pool import Done, Job

TRAINING = plan.Training(batch_size=4, epochs=4, patience=4, rungs=(1, 2))


def shrink(put: Callable[[object, str, Any], None] = setattr) -> None:
    """Make the study small."""
    put(plan, "TRAININGS", dict.fromkeys(plan.TRAININGS, TRAINING))
    put(plan, "UNITS", {"tanh": 5, "gru": 4, "lstm": 3})
    put(plan, "RATES", 3)
    put(plan, "KEPT", (2, 1))
    put(plan, "BEST_RATES", {data: dict.fromkeys(plan.UNITS, 2) for data in plan.TRAININGS})


class Here:
    """Does jobs in this process, one at a time, in place of a pool."""

    def __init__(self, size: int) -> None:
        self.done: Done | None = None

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    @property
    def working(self) -> int:
        return 0 if self.done is None else 1

    @property
    def free(self) -> int:
        return 1 - self.working

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
    """Make the study small, do it in this process, and leave out the pictures."""

    def no_curves(_: object, path: Path, **options: object) -> None:
        path.touch()

    def no_figure(title: str, rows: object, path: Path) -> None:
        path.touch()

    shrink(monkeypatch.setattr)
    monkeypatch.setattr(chung2014, "Pool", Here)
    monkeypatch.setattr(work, "train", partial(work.train, plot=no_curves))
    monkeypatch.setattr(work, "MEASURED", 0.01)
    monkeypatch.setattr("musicrnn.experiments.chung2014.report.plot_data", no_figure)


def named(corpus: Corpus, name: str) -> Corpus:
    """Return a corpus under the name of a data set."""
    other = open_corpus(corpus.directory)
    other.name = name
    return other


def main() -> None:
    """Do the study in a process of its own: folder of the corpus, output folder, epochs."""
    global TRAINING
    TRAINING = plan.Training(batch_size=4, epochs=int(sys.argv[3]), patience=10**6, rungs=(1, 2))
    shrink()
    jsb = named(open_corpus(sys.argv[1]), "jsb")
    reproduce([jsb], ["gru"], Path(sys.argv[2]), workers=2, tell=lambda line: print(line, file=sys.stderr))


if __name__ == "__main__":
    main()
