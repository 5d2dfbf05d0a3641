"""The output folder: tables as Markdown, CSV and JSON, plots, and a page that explains them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from musicrnn.checkpoint import read_metrics
from musicrnn.errors import FileError
from musicrnn.experiments.chung2014 import settings
from musicrnn.experiments.chung2014.paper import COMPARABLE, NAMES, TITLES, table_1
from musicrnn.experiments.chung2014.rows import Rate, Row
from musicrnn.files import write_bytes, write_json
from musicrnn.plots.curves import Curves, plot_time_curves
from musicrnn.plots.figure import COLOURS

Columns = Mapping[str, Callable[[Any], object]]
"""Columns of a table: their heads, and what each shows of a row."""
_LABELS: Columns = {
    "data": lambda row: TITLES[row.data],
    "unit": lambda row: f"{NAMES[row.cell]} {row.hidden}",
}


SIZES: Columns = {
    "task": lambda size: size["task"],
    "unit": lambda size: NAMES[size["cell"]],
    "units": lambda size: size["hidden"],
    "parameters, paper": lambda size: f"{size['paper']:.1f} k",
    "parameters, here": lambda size: f"{size['here']:.1f} k",
    "exactly": lambda size: f"{size['parameters']:,}",
}
"""Of table 1."""
LIKELIHOODS: Columns = {
    **_LABELS,
    "train, paper": lambda row: f"{row.paper_train:.2f}",
    "train, here": lambda row: _figure(row.train, row.train_deviation),
    "valid, here": lambda row: _figure(row.valid, row.valid_deviation),
    "test, paper": lambda row: f"{row.paper_test:.2f}",
    "test, here": lambda row: _figure(row.test, row.test_deviation),
}
"""Of table 2: the paper's figures and ours."""
CONVENTIONS: Columns = {
    **_LABELS,
    "paper": lambda row: f"{row.paper_test:.2f}",
    "all frames": lambda row: f"{row.test:.2f}",
    "no first frames": lambda row: f"{row.test_skip_first:.2f}",
    "by piece": lambda row: f"{row.test_per_piece:.2f}",
    "by piece, no first frames": lambda row: f"{row.test_skip_first_per_piece:.2f}",
}
"""The test NLL under each way to average it."""
_CHOICE: Columns = {
    **_LABELS,
    "parameters": lambda row: f"{row.parameters:,}",
    "chosen rate": lambda row: f"{row.learning_rate:.2e}",
    "number": lambda row: f"{row.rate or '-'} of {settings.RATES}{', the only one tried' * (row.rates == 1)}",
    "epochs": lambda row: row.epochs,
    "best epoch": lambda row: row.best_epoch,
    "seconds": lambda row: f"{row.seconds:.0f}",
    "seeds": lambda row: row.seeds,
}
_OUTCOMES: Columns = {
    "data": lambda rate: TITLES[rate.data],
    "unit": lambda rate: NAMES[rate.cell],
    "rate": lambda rate: rate.rate,
    "learning rate": lambda rate: f"{rate.learning_rate:.2e}",
    "epochs": lambda rate: rate.epochs,
    "valid NLL": lambda rate: f"{rate.valid:.3f}",
    "state": lambda rate: rate.state,
}
_TRAININGS: Columns = {
    "data": lambda data: TITLES[data],
    "pieces in a batch": lambda data: settings.TRAININGS[data].batch_size,
    "epochs at most": lambda data: settings.TRAININGS[data].epochs,
    "patience": lambda data: settings.TRAININGS[data].patience,
    "rates compared after": lambda data: " and ".join(map(str, settings.TRAININGS[data].rungs)) + " epochs",
}


def write_report(rows: Sequence[Row], rates: Sequence[Rate], directory: Path, changed: str) -> None:
    """Write the tables, the plots and, last, the page.

    Plots are written for the data set ``changed``, whose rows are new, and where they are missing.

    Raises:
        FileError: A file can't be read or written.
    """
    _write_table(directory / "table1", table_1(), markdown(table_1(), SIZES))
    _write_table(directory / "table2", list(map(asdict, rows)), markdown(rows, LIKELIHOODS))
    _write_table(directory / "rates", list(map(asdict, rates)), markdown(rates, _OUTCOMES))
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
    colours, curves = dict(zip(NAMES, COLOURS, strict=False)), []
    for row in rows:
        metrics = read_metrics(Path(row.model))
        points = [(epoch.train_nll, epoch.valid_nll, epoch.seconds) for epoch in metrics]
        points = [point for point in points if all(map(math.isfinite, point))]
        if not points:
            raise FileError(f"{row.model}/metrics.jsonl: expected an epoch with a finite NLL, found none")
        curves.append(Curves(f"{NAMES[row.cell]} {row.hidden}", *zip(*points, strict=True)))
    plot_time_curves(curves, [colours[row.cell] for row in rows], path, title)


def markdown(rows: Sequence[Any], columns: Columns) -> str:
    """Return a table of rows as Markdown."""
    lines = [columns, ["---"] * len(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


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

{markdown(table_1(), SIZES)}

## Table 2: average negative log-likelihood

Nats per frame: summed over the 88 notes, averaged over all frames of the split, the first frame of each piece
included; without weight noise. Lower is better. The weights are those of the epoch with the lowest validation
NLL, the learning rate is the one that reached it.{spread}

{markdown(rows, LIKELIHOODS)}

How they were reached:

{markdown(rows, _CHOICE)}

## Which figures compare

{_which_compare(rows)}

{markdown(rows, CONVENTIONS)}

## Figures 2 and 3: learning curves

Each unit at its best rate, against epochs and against seconds on this machine (one thread a training, others
at the same time). Training NLL is with weight noise, while the weights change; validation without.

{pictures}

## What was trained

{_settings()}

## Every learning rate

NLL: the lowest on validation pieces up to the epoch at which the rate was pruned, or to its end.

{markdown(rates, _OUTCOMES)}
"""


def _which_compare(rows: Sequence[Row]) -> str:
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
    bounds = f"exp(U({settings.LOWEST:g}, {settings.HIGHEST:g}))"
    kept = " and then ".join(map(str, settings.KEPT))
    return f"""From the paper: RMSProp, weight noise of standard deviation 0.075 on the recurrent
matrices, gradients rescaled to a norm of at most 1, the best of {settings.RATES} learning rates sampled as
{bounds}, early stopping on validation. No dropout, no averaged weights. The rates are
the same for all (seed {settings.RATE_SEED}), numbered from low to high.

Chosen here, since the paper doesn't say: RMSProp's decay {settings.DECAY} and momentum {settings.MOMENTUM};
schedule `{settings.SCHEDULE}`; and

{markdown(list(settings.TRAININGS), _TRAININGS)}

**Pruning.** All rates train for as many epochs as the table says; the best {kept} continue, those with the
lowest validation NLL so far. The last ones are trained until early stopping, and the lowest NLL decides. A
rate whose loss becomes infinite is removed. The rule compares the same epochs of every run, so it doesn't
depend on the number of processes or on interruptions. With `--quick` only the best known rate is trained."""


def comparison(row: Row) -> str:
    """Return the section of a shipped model's card that shows the paper's figures and ours."""
    note = f"The paper's averaging on {TITLES[row.data]} can't be recovered: don't compare its figures."
    if row.data in COMPARABLE:
        note = "The paper's figures fit this measure."
    return f"""## Beside the paper

One of the twelve music networks of table 2 of Chung, Gulcehre, Cho and Bengio 2014
([arXiv:1412.3555](https://arxiv.org/abs/1412.3555)): {NAMES[row.cell]}, {row.hidden} units, on
{TITLES[row.data]}, trained with the paper's settings.
`musicrnn reproduce chung2014 --check` measures all twelve again.

| NLL per frame | paper | here |
|---|---|---|
| train | {row.paper_train:.2f} | {row.train:.2f} |
| test | {row.paper_test:.2f} | {row.test:.2f} |

{note}
"""


def _figure(value: float, deviation: float | None) -> str:
    return f"{value:.2f}" if deviation is None else f"{value:.2f} ± {deviation:.2f}"


def _write_table(path: Path, rows: Sequence[dict[str, Any]], text: str) -> None:
    """Write a table as Markdown, JSON and CSV."""
    write_bytes(path.with_suffix(".md"), (text + "\n").encode())
    write_json(path.with_suffix(".json"), rows)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_bytes(path.with_suffix(".csv"), buffer.getvalue().encode())
