"""Chung, Gulcehre, Cho and Bengio 2014: their tables and learning curves beside ours.

Table 1 is computed from the layers that this program builds. For table 2 every cell is trained on every data
set with the paper's settings, at ten learning rates of which hopeless ones are pruned; ``plan`` has all
settings, ``pruning`` the rule. Runs are kept, and gone on with where they were interrupted.

References:
    Chung et al. 2014, arXiv:1412.3555.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from musicrnn.bundled import resolve
from musicrnn.corpus import Corpus
from musicrnn.errors import UsageError
from musicrnn.experiments.chung2014.corpora import open_corpora
from musicrnn.experiments.chung2014.paper import CELLS, TABLE_1, TABLE_2, UNITS, table_1
from musicrnn.experiments.chung2014.plan import Group, make_groups, rule
from musicrnn.experiments.chung2014.report import markdown_1, markdown_2, markdown_conventions, write_report
from musicrnn.experiments.chung2014.rows import (
    Rate,
    Row,
    documents,
    make_rates,
    make_row,
    merged_rates,
    merged_rows,
)
from musicrnn.experiments.chung2014.running import Result, Study, Tell
from musicrnn.experiments.chung2014.shipping import ship
from musicrnn.files import exclusive
from musicrnn.processes.pool import Job, Pool

__all__ = [
    "CELLS",
    "SHIPPED",
    "TABLE_1",
    "TABLE_2",
    "UNITS",
    "Reproduction",
    "Row",
    "check",
    "documents",
    "make_groups",
    "markdown_1",
    "markdown_2",
    "markdown_conventions",
    "open_corpora",
    "reproduce",
    "ship",
    "table_1",
]

SHIPPED = Path("models/chung2014")
"""Where the twelve best networks are, a folder each."""


@dataclass(frozen=True)
class Reproduction:
    """What came of the study.

    Attributes:
        rows: Rows of table 2, earlier calls' too.
        rates: What came of every learning rate.
        failures: What went wrong, a line each.
        plan: In words what was to be trained when the call began.
        seconds: What that was estimated to take, at most.
    """

    rows: list[Row]
    rates: list[Rate]
    failures: list[str]
    plan: list[str]
    seconds: float


def reproduce(
    corpora: Sequence[Corpus],
    cells: Sequence[str],
    directory: Path,
    *,
    quick: bool = False,
    seeds: int = 1,
    workers: int = 0,
    dry: bool = False,
    tell: Tell = lambda _: None,
) -> Reproduction:
    """Train every cell on every corpus, as far as that isn't done, and write tables, pictures and a page.

    Args:
        corpora: Corpora named as the keys of ``TABLE_2``.
        cells: Cells among ``CELLS``.
        directory: The output folder; the runs are in its folder ``runs``.
        quick: Train at the best known rate alone.
        seeds: How many seeds the best rate of each cell and set is trained with.
        workers: Processes that train at the same time, with a thread each; 0 is one per core.
        dry: Train nothing; what would be trained, and how long that takes, is returned.
        tell: Is told in words what happens.

    Raises:
        FileError: ``directory`` can't be written, or another process is at work in it.
        KeyboardInterrupt: An interruption; all is saved, and the same call goes on.
        UsageError: A number out of its range, or runs there have other settings.
    """
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {seeds}")
    if workers < 0:
        raise UsageError(f"workers must be at least 0, got {workers}")
    count = workers or _cores()
    groups = make_groups([corpus.name for corpus in corpora], cells, quick)
    rows: list[Row] = []
    rates: list[Rate] = []

    def found(result: Result) -> None:
        models = [directory / "runs" / run.name for run in result.runs]
        group = result.group
        row = make_row(group.data, group.cell, models, result.figures, len(group.runs))
        left = study.seconds_left(count)
        tell(
            f"{group.data} {group.cell}: train {row.train:.3f}, valid {row.valid:.3f}, test {row.test:.3f}"
            + (f"; at most about {_duration(left)} left" if left else "")
        )
        rows[:] = merged_rows(directory / "table2.json", [row])
        rates[:] = merged_rates(directory / "rates.json", make_rates(result))
        write_report(rows, rates, directory, group.data)

    with exclusive(directory), Pool(count) as pool:
        study = Study(groups, {corpus.name: corpus for corpus in corpora}, directory / "runs", seeds, tell)
        study.measure(pool)
        plan, seconds = _plan(groups, study, count), study.seconds_left(count)
        if not dry:
            for line in plan:
                tell(line)
            study.run(pool, found)
    return Reproduction(rows, rates, study.failures, plan, seconds)


def check(
    corpora: Sequence[Corpus], cells: Sequence[str], models: Path = SHIPPED, workers: int = 0
) -> list[Row]:
    """Measure the shipped networks again, and return the rows of table 2; nothing is trained.

    Args:
        corpora: Corpora named as the keys of ``TABLE_2``.
        cells: Cells among ``CELLS``.
        models: Where the networks are; a folder for each cell and set.
        workers: Processes that measure at the same time; 0 is one per core.

    Raises:
        FileError: A model's metrics are damaged.
        MusicRNNError: A model is missing or damaged, or was made for another corpus.
    """
    places = [
        (corpus, cell, resolve(models / f"{corpus.name}-{cell}")) for corpus in corpora for cell in cells
    ]
    figures: dict[Path, dict[str, float]] = {}
    with Pool(min(workers or _cores(), len(places))) as pool:
        waiting = list(places)
        while waiting or pool.working:
            while waiting and pool.free:
                corpus, _, model = waiting.pop(0)
                arguments = {"corpus": str(corpus.directory), "directory": str(model)}
                pool.start(Job("musicrnn.experiments.chung2014.work:measure_model", arguments))
            done = pool.wait()
            if done is not None:
                figures[Path(done.job.arguments["directory"])] = done.checked()
    return [make_row(corpus.name, cell, [model], [figures[model]], 0) for corpus, cell, model in places]


def _plan(groups: Sequence[Group], study: Study, workers: int) -> list[str]:
    """Return in words what will be trained, and how long it takes."""
    lines = []
    for data in dict.fromkeys(group.data for group in groups):
        cells = [group for group in groups if group.data == data]
        lines.append(f"{data}: {', '.join(group.cell for group in cells)}; {rule(cells[0])}")
    seconds = study.seconds_left(workers)
    if not seconds:
        return [*lines, "all runs are done"]
    processes = "process" if workers == 1 else "processes"
    return [*lines, f"about {_duration(seconds)} on {workers} {processes}, less where training stops early"]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5700 else f"{seconds / 3600:.1f} h"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
