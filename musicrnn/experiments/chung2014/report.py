"""The output folder: tables as Markdown, CSV and JSON, plots, and a page that explains them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from musicrnn.checkpoint import read_metrics
from musicrnn.errors import FileError
from musicrnn.experiments.chung2014.paper import COMPARABLE, NAMES, TITLES, table_1
from musicrnn.experiments.chung2014.rows import Rate, Row, documents
from musicrnn.experiments.chung2014.settings import (
    DECAY,
    HIGHEST,
    KEPT,
    LOWEST,
    MOMENTUM,
    RATE_SEED,
    RATES,
    SCHEDULE,
    TRAININGS,
)
from musicrnn.files import write_bytes, write_json
from musicrnn.plots.curves import Curves, plot_time_curves
from musicrnn.plots.figure import COLOURS

Columns = Mapping[str, Callable[[Any], object]]
"""Columns of a table: their heads, and what each shows of a row."""
_LABELS: Columns = {
    "data": lambda row: TITLES[row.data],
    "unit": lambda row: f"{NAMES[row.cell]} {row.hidden}",
}


def write_report(rows: Sequence[Row], rates: Sequence[Rate], directory: Path, changed: str) -> None:
    """Write the tables, the plots and, last, the page.

    Args:
        rows: Rows of table 2.
        rates: The outcome of every learning rate.
        directory: The output folder; each row's model is in it.
        changed: The data set whose rows are new; the plots of others are written where they are missing.

    Raises:
        FileError: A file can't be read or written.
    """
    _write_table(directory / "table1", table_1(), markdown_1())
    _write_table(directory / "table2", documents(rows), markdown_2(rows))
    _write_table(directory / "rates", documents(rates), _markdown_rates(rates))
    for data in dict.fromkeys(row.data for row in rows):
        shown, path = [row for row in rows if row.data == data], directory / f"{data}.png"
        if data == changed or not path.exists():
            plot_data(TITLES[data], shown, path)
    write_bytes(directory / "README.md", page(rows, rates).encode())


def plot_data(title: str, rows: Sequence[Row], path: Path) -> None:
    """Plot the learning curves of a data set's rows, as figures 2 and 3 of the paper.

    Raises:
        FileError: A run's metrics are missing or damaged, or the plot can't be written.
    """
    colours = dict(zip(NAMES, COLOURS, strict=False))
    plot_time_curves([_curves(row) for row in rows], [colours[row.cell] for row in rows], path, title)


def _curves(row: Row) -> Curves:
    """Return the learning curves of a row's run, without epochs whose figures aren't all finite."""
    model = Path(row.model)
    points = [(epoch.train_nll, epoch.valid_nll, epoch.seconds) for epoch in read_metrics(model)]
    points = [point for point in points if all(map(math.isfinite, point))]
    if not points:
        raise FileError(f"{model / 'metrics.jsonl'}: expected an epoch with a finite NLL, found none")
    return Curves(f"{NAMES[row.cell]} {row.hidden}", *zip(*points, strict=True))


def markdown_1() -> str:
    """Return table 1 as Markdown."""
    columns: Columns = {
        "task": lambda size: size["task"],
        "unit": lambda size: NAMES[size["cell"]],
        "units": lambda size: size["hidden"],
        "parameters, paper": lambda size: f"{size['paper']:.1f} k",
        "parameters, here": lambda size: f"{size['here']:.1f} k",
        "exactly": lambda size: f"{size['parameters']:,}",
    }
    return _markdown(table_1(), columns)


def markdown_2(rows: Sequence[Row]) -> str:
    """Return table 2 as Markdown: the paper's figures and ours."""
    columns: Columns = {
        **_LABELS,
        "train, paper": lambda row: f"{row.paper_train:.2f}",
        "train, here": lambda row: _figure(row.train, row.train_deviation),
        "valid, here": lambda row: _figure(row.valid, row.valid_deviation),
        "test, paper": lambda row: f"{row.paper_test:.2f}",
        "test, here": lambda row: _figure(row.test, row.test_deviation),
    }
    return _markdown(rows, columns)


def markdown_conventions(rows: Sequence[Row]) -> str:
    """Return the test NLL under each way to average it as Markdown."""
    columns: Columns = {
        **_LABELS,
        "paper": lambda row: f"{row.paper_test:.2f}",
        "all frames": lambda row: f"{row.test:.2f}",
        "no first frames": lambda row: f"{row.test_skip_first:.2f}",
        "by piece": lambda row: f"{row.test_per_piece:.2f}",
        "by piece, no first frames": lambda row: f"{row.test_skip_first_per_piece:.2f}",
    }
    return _markdown(rows, columns)


def page(rows: Sequence[Row], rates: Sequence[Rate]) -> str:
    """Return the page that shows the paper's results beside ours."""
    sets = list(dict.fromkeys(row.data for row in rows))
    pictures = "\n\n".join(f"![{TITLES[data]}]({data}.png)" for data in sets)
    spread = ""
    if any(row.seeds > 1 for row in rows):
        spread = " Where there are several seeds: mean ± standard deviation over them, at the best rate."
    return f"""# Chung, Gulcehre, Cho and Bengio 2014, and ours

[Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling](https://arxiv.org/abs/1412.3555),
tables 1 and 2, figures 2 and 3. The speech data of the paper were never published, so table 2 is its music
half.

## Table 1: the sizes

Parameters of the recurrent layer alone, with biases, the LSTM with three peepholes, for inputs of 100 (music)
and 20 (speech), counted in the layers that this program builds. They are the paper's to the printed digit,
but for the GRU on music: 20,286 rounds to 20.3, and no other width of the input fits all three rows.

{markdown_1()}

## Table 2: average negative log-likelihood

Nats per frame: summed over the 88 notes, averaged over all frames of the split, the first frame of each piece
included; without weight noise. Lower is better. The weights are those of the epoch with the lowest validation
NLL, the learning rate is the one that reached it.{spread}

{markdown_2(rows)}

How they were reached:

{_markdown_choice(rows)}

## Which figures compare

{_comparison(rows)}

{markdown_conventions(rows)}

## Figures 2 and 3: learning curves

Each unit at its best rate, against epochs and against seconds on this machine (one thread a training, others
at the same time). Training NLL is with weight noise, while the weights change; validation without.

{pictures}

## What was trained

{_settings()}

## Every learning rate

NLL: the lowest on validation pieces up to the epoch at which the rate was pruned, or to its end.

{_markdown_rates(rates)}
"""


def _comparison(rows: Sequence[Row]) -> str:
    """Return a text that says which rows may be compared with the paper's."""
    lines = [
        "**Nottingham and JSB Chorales** fit this measure: compare them.",
        "**MuseData and Piano-midi.de do not.** The paper doesn't say how it averaged, and no averaging that "
        "can be recovered gives its figures: on the standard measure a GRU of 46 units has about 7.4 nats on "
        "MuseData and 7.7 on Piano-midi.de, where the paper prints 5.99, which is lower, and 8.82, which is "
        "higher. Neither leaving out first frames nor averaging piece by piece explains the "
        "difference. On these two sets compare our rows with each other, and with papers that state this "
        "measure; not with the paper's.",
    ]
    far = [row for row in rows if row.data in COMPARABLE and abs(row.test - row.paper_test) > 0.3]
    for row in far:
        more = "above" if row.test > row.paper_test else "below"
        difference = f"{abs(row.test - row.paper_test):.2f} {more}"
        lines.append(f"{TITLES[row.data]}, {NAMES[row.cell]}: ours is {difference} the paper's.")
    return "\n\n".join(lines) + "\n\nTest NLL under four conventions:"


def _settings() -> str:
    """Return a text that says how runs were trained and pruned."""
    columns: Columns = {
        "data": lambda data: TITLES[data],
        "pieces in a batch": lambda data: TRAININGS[data].batch_size,
        "epochs at most": lambda data: TRAININGS[data].epochs,
        "patience": lambda data: TRAININGS[data].patience,
        "rates compared after": lambda data: " and ".join(map(str, TRAININGS[data].rungs)) + " epochs",
    }
    kept = " and then ".join(map(str, KEPT))
    return f"""From the paper: RMSProp, weight noise of standard deviation 0.075 on the recurrent
matrices, gradients rescaled to a norm of at most 1, the best of {RATES} learning rates sampled as
exp(U({LOWEST:g}, {HIGHEST:g})), early stopping on validation. No dropout, no averaged weights. The rates are
the same for all (seed {RATE_SEED}), numbered from low to high.

Chosen here, since the paper doesn't say: RMSProp's decay {DECAY} and momentum {MOMENTUM};
schedule `{SCHEDULE}`; and

{_markdown(list(TRAININGS), columns)}

**Pruning.** All rates train for as many epochs as the table says; the best {kept} continue, those with the
lowest validation NLL so far. The last ones are trained until early stopping, and the lowest NLL decides. A
rate whose loss becomes infinite is removed. The rule compares the same epochs of every run, so it doesn't
depend on the number of processes or on interruptions. With `--quick` only the best known rate is trained."""


def _markdown_choice(rows: Sequence[Row]) -> str:
    columns: Columns = {
        **_LABELS,
        "parameters": lambda row: f"{row.parameters:,}",
        "chosen rate": lambda row: f"{row.learning_rate:.2e}",
        "number": lambda row: f"{row.rate or '-'} of {RATES}" + ", the only one tried" * (row.rates == 1),
        "epochs": lambda row: row.epochs,
        "best epoch": lambda row: row.best_epoch,
        "seconds": lambda row: f"{row.seconds:.0f}",
        "seeds": lambda row: row.seeds,
    }
    return _markdown(rows, columns)


def _markdown_rates(rates: Sequence[Rate]) -> str:
    columns: Columns = {
        "data": lambda rate: TITLES[rate.data],
        "unit": lambda rate: NAMES[rate.cell],
        "rate": lambda rate: rate.rate,
        "learning rate": lambda rate: f"{rate.learning_rate:.2e}",
        "epochs": lambda rate: rate.epochs,
        "valid NLL": lambda rate: f"{rate.valid:.3f}",
        "state": lambda rate: rate.state,
    }
    return _markdown(rates, columns)


def _figure(value: float, deviation: float | None) -> str:
    return f"{value:.2f}" if deviation is None else f"{value:.2f} ± {deviation:.2f}"


def _markdown(rows: Sequence[Any], columns: Columns) -> str:
    lines = [columns, ["---"] * len(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _write_table(path: Path, rows: Sequence[dict[str, Any]], markdown: str) -> None:
    """Write a table as Markdown, JSON and CSV."""
    write_bytes(path.with_suffix(".md"), (markdown + "\n").encode())
    write_json(path.with_suffix(".json"), rows)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_bytes(path.with_suffix(".csv"), buffer.getvalue().encode())
