"""The workers of a sweep, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from musicrnn.processes import pool as processes


@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Attributes:
        corpus: The folder of the corpus.
        directory: The folder of the sweep.
        trials: How many trials the sweep is to have.
        storage: Optuna's name of a database; None is the journal in the folder.
        device: A torch device.
        threads: Threads for torch.
    """

    corpus: str
    directory: str
    trials: int
    storage: str | None
    device: str
    threads: int


def run_workers(jobs: list[Job], told: Callable[[], None], died: Callable[[str], None]) -> list[str]:
    """Have every job done by a process.

    Args:
        jobs: What each worker is to do.
        told: Is called again and again meanwhile.
        died: Is called with words for how it died when a worker was killed.

    Returns:
        How workers died that were killed; the others have then done what they could.

    Raises:
        MusicRNNError: What a worker raised.
    """
    deaths = list[str]()
    with processes.Pool(len(jobs), jobs[0].threads) as pool:
        for job in jobs:
            pool.start(processes.Job(f"{__name__}:work", asdict(job)))
        while pool.working:
            told()
            done = pool.wait()
            pool.dismiss()
            if done is not None and done.error is not None:
                raise done.error
            if done is not None and done.death:
                deaths.append(done.death)
                died(done.death)
    told()
    return deaths


def work(corpus: str, directory: str, trials: int, storage: str | None, device: str, threads: int) -> None:
    """Do a job, in a process of its own."""
    import torch

    from musicrnn.corpus import open_corpus
    from musicrnn.experiments.sweep.study import open_study, read_plan
    from musicrnn.experiments.sweep.trials import Worker

    torch.set_num_threads(threads)
    folder = Path(directory)
    with open_study(folder, read_plan(folder), storage) as study:
        Worker(study, open_corpus(corpus), trials, device, lambda: None).work()
