"""All runs of the study, in processes: which is to be trained next, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musicrnn.corpus import Corpus
from musicrnn.experiments.chung2014.plan import Group, Run
from musicrnn.experiments.chung2014.pruning import Record, Standing, epochs_left, judge, read_record
from musicrnn.processes.pool import Done, Job, Pool

Tell = Callable[[str], None]
_WORK = "musicrnn.experiments.chung2014.work"


@dataclass(frozen=True)
class Result:
    """What came of a group.

    Attributes:
        group: The group.
        records: How far each of its runs is.
        standing: Which of them were pruned, and which was chosen.
        runs: The chosen run, and those with its rate and other seeds.
        figures: What ``measure_model`` said of each of them.
    """

    group: Group
    records: list[Record]
    standing: Standing
    runs: list[Run]
    figures: list[dict[str, float]]


class Study:
    """The groups, and where they are.

    Args:
        groups: What is trained.
        corpora: The corpora by name.
        directory: The folder of the runs.
        seeds: How many seeds the best rate of each group is trained with.
        tell: Is told in words what happened.

    Attributes:
        failures: What went wrong, a line each.
    """

    def __init__(
        self, groups: Sequence[Group], corpora: Mapping[str, Corpus], directory: Path, seeds: int, tell: Tell
    ) -> None:
        self.groups = [_Progress(group, directory, seeds) for group in groups]
        self.corpora = corpora
        self.directory = directory
        self.tell = tell
        self.failures: list[str] = []
        self.epoch_seconds: dict[tuple[str, str], float] = {}

    def measure(self, pool: Pool) -> None:
        """Measure how long an epoch takes here, for each group with something left to train."""
        left = [each for each in self.groups if each.epochs_left()]
        if left:
            self.tell("measuring how long an epoch takes here …")
        for each in left:  # one after the other: the first of a cell compiles its kernels
            recipe = each.group.runs[0].recipe
            pool.start(_job("measure_epoch", self._corpus(each), recipe=recipe.to_dict()))
            done = None
            while done is None:
                done = pool.wait()
            self.epoch_seconds[each.key] = float(done.checked())

    def seconds_left(self, workers: int) -> float:
        """Return how long training takes, at most, with so many processes."""
        whole = [each.epochs_left() * self.epoch_seconds.get(each.key, 0.0) for each in self.groups]
        chains = [each.longest_left() * self.epoch_seconds.get(each.key, 0.0) for each in self.groups]
        return max(sum(whole) / workers, *chains, 0.0)

    def run(self, pool: Pool, found: Callable[[Result], None]) -> None:
        """Train what is left, and measure the best.

        Args:
            pool: The processes.
            found: Is called with what came of each group.
        """
        jobs: dict[int, tuple[_Progress, Run, str]] = {}
        while True:
            for each in self.groups:
                for run, epochs in each.ready():
                    if pool.free:
                        self._start(pool, jobs, each, run, epochs)
            if not pool.working:
                break
            done = pool.wait()
            if done is None:
                continue
            each, run, what = jobs.pop(id(done.job))
            each.under_way.discard(run)
            self._note(each, run, what, done)
            if result := each.result():
                found(result)
        for each in self.groups:
            if not each.standing.alive:
                self.failures.append(f"{' '.join(each.key)}: every learning rate exploded")

    def _start(
        self,
        pool: Pool,
        jobs: dict[int, tuple[_Progress, Run, str]],
        each: _Progress,
        run: Run,
        epochs: int | str | None,
    ) -> None:
        directory = str(self.directory / run.name)
        if epochs == _MEASURE:
            job, what = _job("measure_model", self._corpus(each), directory=directory), _MEASURE
        else:
            recipe = run.recipe.to_dict()
            job = _job("train_until", self._corpus(each), directory=directory, recipe=recipe, epochs=epochs)
            what = "train"
        jobs[id(job)] = each, run, what
        each.under_way.add(run)
        pool.start(job)

    def _note(self, each: _Progress, run: Run, what: str, done: Done) -> None:
        """Take in what came of a job."""
        if done.error or done.death:
            each.failed.add(run)
            reason = str(done.error) if done.error else f"its process was ended by {done.death}"
            self.failures.append(f"{run.name}: {reason}")
            self.tell(f"{run.name} failed: {reason}")
            return
        if what == _MEASURE:
            each.figures[run] = done.result
            return
        before = each.standing
        record = each.read(run)
        state = ", exploded" if record.exploded else ", to the end" if record.finished else ""
        self.tell(
            f"{run.data} {run.cell}, rate {run.number} ({run.rate:.2e}){_seed(run)}: "
            f"{record.epochs} epochs{state}, best valid {record.best():.3f}"
        )
        for line in each.decisions(before):
            self.tell(line)

    def _corpus(self, each: _Progress) -> str:
        return str(self.corpora[each.group.data].directory)


_MEASURE = "measure"


class _Progress:
    """How far a group is."""

    def __init__(self, group: Group, directory: Path, seeds: int) -> None:
        self.group = group
        self.key = group.data, group.cell
        self.directory = directory
        self.seeds = seeds
        self.under_way: set[Run] = set()
        self.failed: set[Run] = set()
        self.figures: dict[Run, dict[str, float]] = {}
        self.records: dict[Run, Record] = {}
        self.reported = False
        for run in group.runs:
            self.records[run] = read_record(directory / run.name, run)
        self.standing = judge(group, self._ordered())
        for run in self.chosen():
            self.read(run)

    def read(self, run: Run) -> Record:
        """Read how far a run is, and what that means."""
        self.records[run] = read_record(self.directory / run.name, run)
        self.standing = judge(self.group, self._ordered())
        return self.records[run]

    def chosen(self) -> list[Run]:
        """Return the best run, and those with its rate and other seeds; nothing before it is known."""
        if self.standing.chosen is None:
            return []
        best = self.group.runs[self.standing.chosen]
        return [Run(best.data, best.cell, best.number, seed) for seed in range(self.seeds)]

    def ready(self) -> list[tuple[Run, int | str | None]]:
        """Return what can be done now: runs, and the epochs to reach, None for the end."""
        steps: list[tuple[Run, int | str | None]]
        steps = [(self.group.runs[position], epochs) for position, epochs in self.standing.steps]
        for run in self.chosen():
            if run not in self.records:
                self.read(run)
            if not self.records[run].is_over:
                steps.append((run, None))
            elif self.records[run].finished and run not in self.figures:
                steps.append((run, _MEASURE))
        return [step for step in steps if step[0] not in self.under_way | self.failed]

    def result(self) -> Result | None:
        """Return what came of the group, once, when all is done."""
        runs = [run for run in self.chosen() if not self._record(run).exploded]
        if self.reported or not runs or any(run not in self.figures for run in runs):
            return None
        self.reported = True
        return Result(self.group, self._ordered(), self.standing, runs, [self.figures[run] for run in runs])

    def epochs_left(self) -> int:
        """Return the epochs to train yet, at most."""
        more = [run for run in self.chosen() if run.seed]
        seeds = (self.seeds - 1) * self.group.epochs if not self.chosen() else 0
        seeds += sum(self.group.epochs - self._record(run).epochs for run in more if not self._over(run))
        return epochs_left(self.group, self._ordered()) + seeds

    def longest_left(self) -> int:
        """Return the epochs that have to be trained one after the other yet, at most."""
        if self.chosen():
            return max((self.group.epochs for run in self.chosen() if not self._over(run)), default=0)
        done = min((self._record(self.group.runs[run]).epochs for run in self.standing.alive), default=0)
        return self.group.epochs - done + (self.group.epochs if self.seeds > 1 else 0)

    def decisions(self, before: Standing) -> list[str]:
        """Return in words what is decided now and wasn't before."""
        lines, name = [], f"{self.group.data} {self.group.cell}"
        for epochs, kept in self.group.rungs[before.passed : self.standing.passed]:
            out = [run for run, at in self.standing.pruned.items() if at == epochs]
            numbers = ", ".join(str(self.group.runs[run].number) for run in sorted(out))
            lines.append(f"{name}: after {epochs} epochs the best {kept} go on, without rates {numbers}")
        if before.chosen is None and self.standing.chosen is not None:
            best = self.group.runs[self.standing.chosen]
            lines.append(
                f"{name}: the best is rate {best.number} ({best.rate:.2e}), valid "
                f"{self.records[best].best():.3f}"
            )
        return lines

    def _ordered(self) -> list[Record]:
        return [self.records[run] for run in self.group.runs]

    def _record(self, run: Run) -> Record:
        return self.records.get(run, Record())

    def _over(self, run: Run) -> bool:
        return self._record(run).is_over


def _job(name: str, corpus: str, **arguments: Any) -> Job:
    return Job(f"{_WORK}:{name}", {"corpus": corpus, **arguments})


def _seed(run: Run) -> str:
    return f", seed {run.seed}" if run.seed else ""
