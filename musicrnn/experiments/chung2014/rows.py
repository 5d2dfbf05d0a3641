"""The rows of table 2 and of the table of learning rates, and how a network's figures are measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import torch

from musicrnn.checkpoint import load_model, read_metrics
from musicrnn.corpus import Corpus
from musicrnn.errors import FileError
from musicrnn.evaluation import evaluate
from musicrnn.experiments.chung2014.paper import TABLE_2, UNITS
from musicrnn.experiments.chung2014.settings import learning_rates
from musicrnn.experiments.trials import open_once
from musicrnn.files import read_bytes
from musicrnn.processes.pool import Job
from musicrnn.training import Recipe, read_settings


@dataclass(frozen=True)
class Row:
    """A row of table 2: the paper's figures and ours, nats per frame, without noise.

    Attributes:
        parameters: Of the whole network, output layer included.
        learning_rate: The chosen one; ``rate`` is its number among the ten, from 1, of which ``rates`` were
            tried.
        epochs: Epochs trained; the weights of ``best_epoch`` were kept.
        seconds: Time of its training.
        seeds: How many trainings ``train``, ``valid`` and ``test`` are averaged over; the deviations are the
            standard deviations over them, None where there is one.
        test_skip_first: Without the first frame of every piece.
        test_per_piece: Averaged piece by piece.
        test_skip_first_per_piece: Both.
        model: The folder of the network, of the first seed.
    """

    data: str
    cell: str
    hidden: int
    parameters: int
    learning_rate: float
    rate: int | None
    rates: int
    epochs: int
    best_epoch: int
    seconds: float
    seeds: int
    paper_train: float
    paper_test: float
    train: float
    valid: float
    test: float
    train_deviation: float | None
    valid_deviation: float | None
    test_deviation: float | None
    test_skip_first: float
    test_per_piece: float
    test_skip_first_per_piece: float
    model: str


@dataclass(frozen=True)
class Rate:
    """The outcome of a learning rate, the one of number ``rate``.

    Attributes:
        valid: Lowest validation NLL when it was pruned, or at its end; nats per frame.
        state: ``chosen``, ``complete``, ``pruned after N epochs`` or ``exploded in epoch N``.
    """

    data: str
    cell: str
    rate: int
    learning_rate: float
    epochs: int
    valid: float
    state: str


AnyRow = TypeVar("AnyRow", Row, Rate)


def model_job(corpus: Corpus, model: Path) -> Job:
    """Return the job of ``measure_model`` in a worker process."""
    return Job(f"{__name__}:measure_model", {"corpus": str(corpus.directory), "model": str(model)})


def measure_model(corpus: str, model: str) -> dict[str, float]:
    """Return the NLLs of a network without noise, under the names of ``Row``, and its ``parameters``."""
    torch.set_num_threads(1)
    network, opened = load_model(model), open_once(corpus)
    test, skip = (evaluate(network, opened, "test", skip_first_frame=skipped) for skipped in (False, True))
    return {
        **{split: evaluate(network, opened, split).nll_per_frame for split in ("train", "valid")},
        "test": test.nll_per_frame,
        "test_skip_first": skip.nll_per_frame,
        "test_per_piece": sum(piece.nll_per_frame for piece in test.pieces) / len(test.pieces),
        "test_skip_first_per_piece": sum(piece.nll_per_frame for piece in skip.pieces) / len(skip.pieces),
        "parameters": network.parameter_count,
    }


def make_row(
    data: str, cell: str, models: Sequence[Path], figures: Sequence[Mapping[str, float]], rates: int
) -> Row:
    """Return the row of networks that differ in their seeds, whose ``figures`` ``measure_model`` returned.

    ``rates`` is how many learning rates were tried.

    Raises:
        FileError: A model's settings or metrics are missing, or its metrics damaged.
        UsageError: Its settings are damaged.
    """
    epochs = read_metrics(models[0])
    if not epochs:
        raise FileError(f"{models[0] / 'metrics.jsonl'}: expected at least one epoch, found none")
    nlls = [epoch.valid_nll for epoch in epochs]
    rate, tried = Recipe.of(**read_settings(models[0] / "config.json")).initial_rate, learning_rates()
    means = {name: statistics.fmean(each[name] for each in figures) for name in figures[0]}
    deviations = {
        f"{name}_deviation": statistics.stdev(each[name] for each in figures) if len(figures) > 1 else None
        for name in ("train", "valid", "test")
    }
    paper_train, paper_test = TABLE_2[data][cell]
    return Row(
        data=data,
        cell=cell,
        hidden=UNITS[cell],
        learning_rate=rate,
        rate=tried.index(rate) + 1 if rate in tried else None,
        rates=rates,
        epochs=len(epochs),
        best_epoch=nlls.index(min(nlls)) + 1,
        seconds=round(epochs[-1].seconds, 1),
        seeds=len(figures),
        paper_train=paper_train,
        paper_test=paper_test,
        model=models[0].as_posix(),
        **{**means, **deviations, "parameters": int(figures[0]["parameters"])},  # type: ignore[arg-type]
    )


def merged(path: Path, new: Sequence[AnyRow]) -> list[AnyRow]:
    """Return new rows with those of other entries that a table on disk has, in the paper's order.

    Rows of another version of the table and of runs that are gone are left out.

    Raises:
        FileError: The table is damaged.
    """
    kind, order = type(new[0]), [(data, cell) for data in TABLE_2 for cell in TABLE_2[data]]
    kept = set(order) - {(row.data, row.cell) for row in new}
    names = {field.name for field in fields(kind)}
    try:
        found = json.loads(read_bytes(path)) if path.exists() else []
        rows: list[AnyRow] = [kind(**values) for values in found if set(values) == names]
    except (ValueError, TypeError) as error:
        raise FileError(f"{path}: expected rows of a table, found damage: {error}") from error
    rows = [row for row in rows if (row.data, row.cell) in kept]
    rows = [row for row in rows if isinstance(row, Rate) or (Path(row.model) / "metrics.jsonl").exists()]
    rows.extend(new)
    return sorted(rows, key=lambda row: (order.index((row.data, row.cell)), row.rate or 0))
