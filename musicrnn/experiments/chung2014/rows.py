"""The rows of table 2 and of the table of learning rates, as JSON values."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from musicrnn.checkpoint import read_metrics
from musicrnn.errors import FileError
from musicrnn.experiments.chung2014.paper import TABLE_2, UNITS
from musicrnn.experiments.chung2014.progress import EntryProgress
from musicrnn.experiments.chung2014.settings import learning_rates
from musicrnn.files import read_bytes


@dataclass(frozen=True)
class Row:
    """An entry of table 2: the paper's figures and ours, nats per frame, without noise.

    Attributes:
        data: The data set.
        cell: The recurrent unit.
        hidden: Its units.
        parameters: Of the whole network, output layer included.
        learning_rate: The chosen one.
        rate: Its number among the ten, from 1.
        rates: How many of them were tried.
        epochs: Epochs trained.
        best_epoch: The one whose weights were kept.
        seconds: Time of its training.
        seeds: How many trainings the figures are averaged over.
        paper_train: As printed.
        paper_test: As printed.
        train: All frames of the training pieces.
        valid: All frames of the validation pieces.
        test: All frames of the test pieces.
        train_deviation: Standard deviation over seeds; None where there is one.
        valid_deviation: The same.
        test_deviation: The same.
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

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the table."""
        return self.data, self.cell


@dataclass(frozen=True)
class Rate:
    """The outcome of a learning rate.

    Attributes:
        data: The data set.
        cell: The recurrent unit.
        rate: Number of the rate, from 1.
        learning_rate: The rate.
        epochs: Epochs trained.
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


def make_row(
    data: str,
    cell: str,
    models: Sequence[Path],
    figures: Sequence[Mapping[str, float]],
    rates: int,
) -> Row:
    """Return a row of table 2.

    Args:
        data: The data set.
        cell: The recurrent unit.
        models: Folders of the networks, one for each seed.
        figures: What ``measure_model`` returned for each.
        rates: How many learning rates were tried.

    Raises:
        FileError: A model's settings or metrics are missing or damaged.
    """
    epochs = read_metrics(models[0])
    if not epochs:
        raise FileError(f"{models[0] / 'metrics.jsonl'}: expected at least one epoch, found none")
    nlls = [epoch.valid_nll for epoch in epochs]
    path = models[0] / "config.json"
    try:
        learning_rate = float(json.loads(read_bytes(path))["training"]["learning_rate"])
    except (ValueError, TypeError, KeyError) as error:
        raise FileError(f"{path}: expected what a training wrote, found damage: {error!r}") from error
    rates_tried = learning_rates()
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
        learning_rate=learning_rate,
        rate=rates_tried.index(learning_rate) + 1 if learning_rate in rates_tried else None,
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


def make_rates(progress: EntryProgress) -> list[Rate]:
    """Return the outcome of every learning rate of an entry, from low to high."""
    rates = []
    for candidate in progress.entry.candidates:
        record, pruned = progress.records[candidate], progress.standing.pruned.get(candidate)
        if candidate == progress.standing.chosen:
            state = "chosen"
        elif pruned is None:
            state = "complete"
        elif record.state == "exploded":
            state = f"exploded in epoch {pruned + 1}"
        else:
            state = f"pruned after {pruned} epochs"
        rates.append(
            Rate(
                data=candidate.data,
                cell=candidate.cell,
                rate=candidate.number,
                learning_rate=candidate.rate,
                epochs=pruned or record.epochs,
                valid=record.best(pruned),
                state=state,
            )
        )
    return rates


def merged_rows(path: Path, new: Sequence[Row]) -> list[Row]:
    """Return new rows with those of earlier calls that ``table2.json`` has, in the paper's order."""
    found = [row for row in _read(path, Row) if (Path(row.model) / "metrics.jsonl").exists()]
    rows = {row.key: row for row in [*found, *new]}
    return [rows[data, cell] for data in TABLE_2 for cell in TABLE_2[data] if (data, cell) in rows]


def merged_rates(path: Path, new: Sequence[Rate]) -> list[Rate]:
    """Return new rates with those of earlier calls that ``rates.json`` has, in the paper's order."""
    fresh = {(rate.data, rate.cell) for rate in new}
    rates = [rate for rate in _read(path, Rate) if (rate.data, rate.cell) not in fresh] + list(new)
    order = [(data, cell) for data in TABLE_2 for cell in TABLE_2[data]]
    return sorted(rates, key=lambda rate: (order.index((rate.data, rate.cell)), rate.rate))


def documents(rows: Sequence[Row] | Sequence[Rate]) -> list[dict[str, Any]]:
    """Return rows as JSON values."""
    return [asdict(row) for row in rows]


def _read(path: Path, kind: type[Any]) -> list[Any]:
    """Read rows; those of another version are left out, and made again by the next call."""
    if not path.exists():
        return []
    names = {entry.name for entry in fields(kind)}
    try:
        found = [entry for entry in json.loads(read_bytes(path)) if set(entry) == names]
    except (ValueError, TypeError) as error:
        raise FileError(f"{path}: expected rows of a table, found damage: {error}") from error
    return [kind(**entry) for entry in found if entry["cell"] in TABLE_2.get(entry["data"], {})]
