"""Chung, Gulcehre, Cho and Bengio 2014: their tables and learning curves, and ours.

Table 1 is computed from the layers that this program builds. For table 2 every cell is trained on every data
set with the paper's settings, at ten learning rates of which the worst are pruned; ``settings`` has all
settings, ``pruning`` the rule. Runs are kept, and continued where they were interrupted.

References:
    Chung et al. 2014, arXiv:1412.3555.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from musicrnn.bundled import resolve
from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus
from musicrnn.errors import UsageError
from musicrnn.experiments.chung2014.progress import EntryProgress, measure_epochs, seconds_left, train_entries
from musicrnn.experiments.chung2014.report import comparison, write_report
from musicrnn.experiments.chung2014.rows import Row, make_row, merged, model_job
from musicrnn.experiments.chung2014.settings import make_entries, rule
from musicrnn.experiments.trials import run_all
from musicrnn.files import exclusive, read_bytes, write_bytes
from musicrnn.processes.pool import Pool
from musicrnn.training import Recipe, read_settings
from musicrnn.training.card import model_card

SHIPPED = Path("models/chung2014")
"""Where the twelve best networks are, a folder each."""
_FILES = ("model.safetensors", "metrics.jsonl", "curves.png", "config.json")
"""The files of a run that ship."""


@dataclass(frozen=True)
class Reproduction:
    """The outcome of a call.

    Attributes:
        rows: Rows of table 2, earlier calls' too.
        failures: What went wrong, a line each.
        plan: What was left to train when the call began, a line each.
        seconds: How long that was estimated to take, at most.
    """

    rows: list[Row]
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
    log: Callable[[str], None] = lambda _: None,
) -> Reproduction:
    """Train every cell on every corpus, unless that is done, and write tables, plots and a page.

    Args:
        corpora: Corpora named as the keys of ``TABLE_2``.
        cells: Cells among ``CELLS``.
        directory: The output folder; the runs are in its folder ``runs``.
        quick: Train only at the best known rate.
        seeds: How many seeds the best rate of each cell and set is trained with.
        workers: Processes that train at the same time, with a thread each; 0 is one per core.
        dry: Train nothing; return what would be trained, and how long that takes.
        log: Is called with every line of the log.

    Raises:
        FileError: ``directory`` can't be written, or another process uses it.
        KeyboardInterrupt: An interruption; everything is saved, and the same call continues.
        UsageError: A number out of its range, or runs there have other settings.
    """
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {seeds}")
    if workers < 0:
        raise UsageError(f"workers must be at least 0, got {workers}")
    count = workers or _cores()
    named, runs = {corpus.name: corpus for corpus in corpora}, directory / "runs"
    rows: list[Row] = []

    def measured(each: EntryProgress) -> None:
        models = [each.folder(candidate) for candidate in each.measured]
        figures = [each.figures[candidate] for candidate in each.measured]
        row = make_row(each.entry.data, each.entry.cell, models, figures, len(each.entry.candidates))
        left = seconds_left(entries, count)
        log(
            f"{each.name}: train {row.train:.3f}, valid {row.valid:.3f}, test {row.test:.3f}"
            + (f"; at most about {_duration(left)} left" if left else "")
        )
        rows[:] = merged(directory / "table2.json", [row])
        rates = merged(directory / "rates.json", each.rates())
        write_report(rows, rates, directory, row.data)

    with exclusive(directory), Pool(count) as pool:
        planned = make_entries(list(named), cells, quick)
        entries = [EntryProgress(entry, named[entry.data], runs, seeds) for entry in planned]
        measure_epochs(entries, pool, log)
        seconds = seconds_left(entries, count)
        plan = _plan(entries, seconds, count)
        if not dry:
            for line in plan:
                log(line)
            train_entries(entries, pool, log, measured)
    failures = [line for each in entries for line in each.failures()]
    return Reproduction(rows, failures, plan, seconds)


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
    jobs = {
        (corpus.name, cell): model_job(corpus, resolve(models / f"{corpus.name}-{cell}"))
        for corpus, cell in product(corpora, cells)
    }
    with Pool(min(workers or _cores(), len(jobs))) as pool:
        figures = run_all(pool, jobs)
    return [make_row(*key, [Path(job.arguments["model"])], [figures[key]], 0) for key, job in jobs.items()]


def ship(rows: Sequence[Row], corpora: Mapping[str, Corpus], target: Path) -> list[Path]:
    """Copy the network of each row, without what resuming needs, and write a new card.

    Rows of corpora that aren't given, by name, are left out.

    Returns:
        The folders ``DATA-CELL``, which are in ``target``.

    Raises:
        FileError: A file can't be read or written.
        ModelError: A model is damaged.
    """
    folders = []
    for row in rows:
        if row.data not in corpora:
            continue
        source, folder = Path(row.model), target / f"{row.data}-{row.cell}"
        for name in _FILES:
            write_bytes(folder / name, read_bytes(source / name))
        recipe = Recipe.of(**read_settings(source / "config.json"))
        nlls = {"train": row.train, "valid": row.valid, "test": row.test}
        model_card(folder, load_model(folder), corpora[row.data], recipe, row.best_epoch, nlls)
        card = read_bytes(folder / "README.md").decode()
        card = card.replace("## Use\n", f"{comparison(row)}\n## Use\n", 1)
        write_bytes(folder / "README.md", card.encode())
        folders.append(folder)
    return folders


def _plan(entries: Sequence[EntryProgress], seconds: float, workers: int) -> list[str]:
    """Return what will be trained, and how long it takes, a line each."""
    lines = []
    for data in dict.fromkeys(each.entry.data for each in entries):
        cells = [each.entry for each in entries if each.entry.data == data]
        lines.append(f"{data}: {', '.join(entry.cell for entry in cells)}; {rule(cells[0])}")
    if not seconds:
        return [*lines, "all runs are complete"]
    processes = "process" if workers == 1 else "processes"
    return [*lines, f"about {_duration(seconds)} on {workers} {processes}, less where training stops early"]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5700 else f"{seconds / 3600:.1f} h"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
