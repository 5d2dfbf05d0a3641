"""The progress of every entry of table 2: its results so far, and which trial or measurement is next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import Augmentation, evaluation_batches, training_batch, training_order
from musicrnn.experiments.chung2014.pruning import Standing, epochs_left, judge
from musicrnn.experiments.chung2014.rows import Rate, model_job
from musicrnn.experiments.chung2014.settings import Candidate, Entry
from musicrnn.experiments.trials import TrialRecord, open_once, read_trial, run_all, run_jobs, trial_job
from musicrnn.processes.pool import Done, Job, Pool
from musicrnn.training import Recipe
from musicrnn.training.trainer import TrainingBatch, make_trainer

MEASURED = 0.4
"""Seconds of training that are measured, and as many of evaluation."""
SAVING = 0.02
"""Seconds that saving takes at the end of an epoch."""


@dataclass(eq=False)
class EntryProgress:
    """The progress of an entry, which is read from the run folders.

    Attributes:
        entry: The entry.
        corpus: Its data set.
        directory: The folder of the runs.
        seeds: How many seeds the best rate is trained with.
        records: How far each trial is.
        standing: What the pruning rule decided.
        figures: What ``measure_model`` returned for the chosen trials.
        failed: Why trials couldn't be trained or measured.
        epoch_seconds: Time of an epoch on this machine.
    """

    entry: Entry
    corpus: Corpus
    directory: Path
    seeds: int
    records: dict[Candidate, TrialRecord] = field(default_factory=dict)
    standing: Standing = field(init=False)
    figures: dict[Candidate, dict[str, float]] = field(default_factory=dict)
    failed: dict[Candidate, str] = field(default_factory=dict)
    epoch_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.records |= dict.fromkeys(self.entry.candidates, TrialRecord())
        for candidate in self.entry.candidates:
            self.read(candidate)

    @property
    def name(self) -> str:
        """Data set and cell."""
        return f"{self.entry.data} {self.entry.cell}"

    @property
    def chosen(self) -> list[Candidate]:
        """The best candidate and its repetitions with other seeds, once it is known."""
        best = self.standing.chosen
        if best is None:
            return []
        return [Candidate(best.data, best.cell, best.number, seed) for seed in range(self.seeds)]

    @property
    def measured(self) -> list[Candidate]:
        """The chosen candidates, without those that exploded, once all of them are measured."""
        chosen = [candidate for candidate in self.chosen if self._record(candidate).state != "exploded"]
        return chosen if all(candidate in self.figures for candidate in chosen) else []

    def folder(self, candidate: Candidate) -> Path:
        """Return the run folder of a candidate."""
        return self.directory / candidate.name

    def read(self, candidate: Candidate) -> TrialRecord:
        """Read how far a trial is, and decide what follows."""
        self.records[candidate] = read_trial(self.folder(candidate), candidate.recipe)
        self.standing = judge(self.entry, self.records)
        return self.records[candidate]

    def pending(self) -> dict[Candidate, Job]:
        """Return the jobs that can be done now, the running ones included."""
        steps = dict(self.standing.steps)
        jobs = {}
        for candidate in self.chosen:
            record = self._record(candidate)
            if not record.is_over:
                steps[candidate] = None
            elif record.state == "complete" and candidate not in self.figures:
                jobs[candidate] = model_job(self.corpus, self.folder(candidate))
        for candidate, epochs in steps.items():
            jobs[candidate] = trial_job(self.corpus, candidate.recipe, self.folder(candidate), epochs)
        return {candidate: job for candidate, job in jobs.items() if candidate not in self.failed}

    def finish(self, candidate: Candidate, done: Done) -> list[str]:
        """Record the end of a job; return lines for the log."""
        if isinstance(done.result, dict):
            self.figures[candidate] = done.result
            return []
        before = self.standing
        if done.result is None:
            problem = str(done.error) if done.error else f"its process was ended by {done.death}"
        else:
            problem = "" if self.read(candidate).state == "exploded" else done.result
        if problem:
            self.failed[candidate] = problem
            return [f"{candidate.name} failed: {problem}"]
        record = self.records[candidate]
        state = {"complete": ", to the end", "exploded": ", exploded"}.get(record.state, "")
        seed = f", seed {candidate.seed}" if candidate.seed else ""
        lines = [
            f"{self.name}, rate {candidate.number} ({candidate.rate:.2e}){seed}: {record.epochs} epochs"
            f"{state}, best valid {record.best():.3f}"
        ]
        for epochs, kept in self.entry.rungs[before.passed : self.standing.passed]:
            out = sorted(each.number for each, at in self.standing.pruned.items() if at == epochs)
            numbers = ", ".join(map(str, out))
            lines.append(
                f"{self.name}: after {epochs} epochs the best {kept} continue, without rates {numbers}"
            )
        best = self.standing.chosen
        if before.chosen is None and best is not None:
            nll = self.records[best].best()
            lines.append(f"{self.name}: the best is rate {best.number} ({best.rate:.2e}), valid {nll:.3f}")
        return lines

    def epochs_left(self) -> tuple[int, int]:
        """Return how many epochs are left at most: in all, and how many of them one after the other."""
        whole = self.entry.epochs
        if self.chosen:
            records = map(self._record, self.chosen)
            left = [whole - record.epochs for record in records if not record.is_over]
            return sum(left), max(left, default=0)
        if not self.standing.alive:
            return 0, 0
        trained = min(self.records[candidate].epochs for candidate in self.standing.alive)
        left_here = epochs_left(self.entry, self.records) + (self.seeds - 1) * whole
        return left_here, whole - trained + whole * (self.seeds > 1)

    def rates(self) -> list[Rate]:
        """Return the outcome of every learning rate, from low to high."""
        rates = []
        for each in self.entry.candidates:
            record, pruned = self.records[each], self.standing.pruned.get(each)
            if each == self.standing.chosen:
                state = "chosen"
            elif pruned is None:
                state = "complete"
            elif record.state == "exploded":
                state = f"exploded in epoch {pruned + 1}"
            else:
                state = f"pruned after {pruned} epochs"
            epochs, best = pruned or record.epochs, record.best(pruned)
            rates.append(Rate(each.data, each.cell, each.number, each.rate, epochs, best, state))
        return rates

    def failures(self) -> list[str]:
        """Return what went wrong, a line each."""
        lines = [f"{candidate.name}: {problem}" for candidate, problem in self.failed.items()]
        return lines if self.standing.alive else [*lines, f"{self.name}: every learning rate exploded"]

    def _record(self, candidate: Candidate) -> TrialRecord:
        return self.records[candidate] if candidate in self.records else self.read(candidate)


def measure_epochs(entries: Sequence[EntryProgress], pool: Pool, log: Callable[[str], None]) -> None:
    """Measure how long an epoch takes on this machine, for every entry that isn't complete."""
    left = [each for each in entries if each.epochs_left() != (0, 0)]
    if left:
        log("measuring how long an epoch takes here …")
    for each in left:  # one after the other: the first of a cell compiles its kernels
        recipe = each.entry.candidates[0].recipe.to_dict()
        job = Job(f"{__name__}:measure_epoch", {"corpus": str(each.corpus.directory), "recipe": recipe})
        each.epoch_seconds = run_all(pool, {each: job})[each]


def seconds_left(entries: Sequence[EntryProgress], workers: int) -> float:
    """Return how long the training takes, at most, with ``workers`` processes."""
    left = [(each.epochs_left(), each.epoch_seconds) for each in entries]
    in_all = sum(epochs * seconds for (epochs, _), seconds in left) / workers
    return max([in_all, *(longest * seconds for (_, longest), seconds in left)])


def train_entries(
    entries: Sequence[EntryProgress],
    pool: Pool,
    log: Callable[[str], None],
    measured: Callable[[EntryProgress], None],
) -> None:
    """Train everything that is left, and measure the best.

    ``log`` is called with every line of the log, ``measured`` with every entry whose figures are complete.
    """
    owners = {(each.entry.data, each.entry.cell): each for each in entries}

    def pending() -> dict[Candidate, Job]:
        return {candidate: job for each in entries for candidate, job in each.pending().items()}

    def finished(candidate: Candidate, done: Done) -> None:
        owner = owners[candidate.data, candidate.cell]
        for line in owner.finish(candidate, done):
            log(line)
        if owner.measured:
            measured(owner)

    run_jobs(pool, pending, finished)


def measure_epoch(corpus: str, recipe: dict[str, Any]) -> float:
    """Return the seconds that an epoch takes here, from a short measurement; kernels are compiled first."""
    torch.set_num_threads(1)
    settings, opened = Recipe.of(**recipe), open_once(corpus)
    split, trainer = opened["train"], make_trainer(opened, settings)
    trainer.model.train()
    frames, begun = 0, 0.0
    for number, pieces in enumerate(training_order(split, settings.batch_size, [0])):
        if number == 1:
            begun = time.perf_counter()
        batch = TrainingBatch.from_batch(training_batch(split, pieces, Augmentation(), [0]), "cpu")
        real = int(batch.mask.sum())
        trainer.compute_gradient([batch], (0, batch.mask.shape[1]), real, [0, number])
        trainer.step(settings.initial_rate)
        frames += real if number or len(split) <= settings.batch_size else 0
        if number and time.perf_counter() - begun > MEASURED:
            break
    trained = (time.perf_counter() - begun) / max(1, frames)
    frames, begun = 0, time.perf_counter()
    with torch.no_grad():
        for each in evaluation_batches(opened["valid"]):
            loaded = TrainingBatch.from_batch(each, "cpu")
            trainer.model.eval().score(loaded.frames, loaded.mask, loaded.inputs)
            frames += int(loaded.mask.sum())
            if time.perf_counter() - begun > MEASURED:
                break
    evaluated = (time.perf_counter() - begun) / frames
    return split.frames * trained + opened["valid"].frames * evaluated + SAVING
