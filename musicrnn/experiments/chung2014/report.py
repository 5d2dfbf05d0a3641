"""The output folder: tables as Markdown, CSV and JSON, the pictures, and a page that explains them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
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


def write_report(rows: Sequence[Row], rates: Sequence[Rate], directory: Path, changed: str) -> None:
    """Write the tables, the pictures and, last, the page.

    Args:
        rows: Rows of table 2.
        rates: What came of every learning rate.
        directory: The output folder; each row's model is in it.
        changed: The data set whose rows are new; the pictures of others are plotted where they are missing.

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
    """Plot the learning curves of a data set's units, as figures 2 and 3 of the paper.

    Args:
        title: What the data set is called.
        rows: Rows of table 2, whose models have the curves.
        path: The picture.

    Raises:
        FileError: A run's metrics are missing or damaged, or the picture can't be written.
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
    head = ["task", "unit", "units", "parameters, paper", "parameters, here", "exactly"]
    lines = [
        (
            size["task"],
            NAMES[size["cell"]],
            size["hidden"],
            f"{size['paper']:.1f} k",
            f"{size['here']:.1f} k",
            f"{size['parameters']:,}",
        )
        for size in table_1()
    ]
    return _markdown(head, lines)


def markdown_2(rows: Sequence[Row]) -> str:
    """Return table 2 as Markdown: the paper's figures and ours."""
    head = ["data", "unit", "train, paper", "train, here", "valid, here", "test, paper", "test, here"]
    lines = [
        (
            TITLES[row.data],
            f"{NAMES[row.cell]} {row.hidden}",
            f"{row.paper_train:.2f}",
            _figure(row.train, row.train_deviation),
            _figure(row.valid, row.valid_deviation),
            f"{row.paper_test:.2f}",
            _figure(row.test, row.test_deviation),
        )
        for row in rows
    ]
    return _markdown(head, lines)


def markdown_conventions(rows: Sequence[Row]) -> str:
    """Return the test NLL under each way to average it as Markdown."""
    head = ["data", "unit", "paper", "all frames", "no first frames", "by piece", "by piece, no first frames"]
    lines = [
        (
            TITLES[row.data],
            f"{NAMES[row.cell]} {row.hidden}",
            f"{row.paper_test:.2f}",
            f"{row.test:.2f}",
            f"{row.test_skip_first:.2f}",
            f"{row.test_per_piece:.2f}",
            f"{row.test_skip_first_per_piece:.2f}",
        )
        for row in rows
    ]
    return _markdown(head, lines)


def page(rows: Sequence[Row], rates: Sequence[Rate]) -> str:
    """Return the page that sets paper and ours side by side."""
    sets = list(dict.fromkeys(row.data for row in rows))
    pictures = "\n\n".join(f"![{TITLES[data]}]({data}.png)" for data in sets)
    seeds = sorted({row.seeds for row in rows})
    spread = (
        " Where there are several seeds: mean ± standard deviation over them, at the best rate."
        if seeds and seeds[-1] > 1
        else ""
    )
    return f"""# Chung, Gulcehre, Cho and Bengio 2014, beside ours

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
NLL, the learning rate is the one that led there.{spread}

{markdown_2(rows)}

How they were reached:

{_markdown_choice(rows)}

## Which figures compare

{_comparison(rows)}

{markdown_conventions(rows)}

## Figures 2 and 3: learning curves

Each unit at its best rate, against epochs and against seconds on this machine (one thread a training, others
beside it). Training NLL is with weight noise, while the weights move; validation without.

{pictures}

## What was trained

{_settings()}

## Every learning rate

NLL: the lowest on validation pieces up to the epoch at which the rate was pruned, or to its end.

{_markdown_rates(rates)}
"""


def _comparison(rows: Sequence[Row]) -> str:
    """Return in plain words which rows may be compared with the paper's."""
    lines = [
        "**Nottingham and JSB Chorales** fit this measure: compare them.",
        "**MuseData and Piano-midi.de do not.** The paper doesn't say how it averaged, and no averaging that "
        "can be recovered gives its figures: on the standard measure a GRU of 46 units has about 7.4 nats on "
        "MuseData and 7.7 on Piano-midi.de, where the paper prints 5.99, which is lower, and 8.82, which is "
        "higher. Neither leaving out first frames nor averaging piece by piece leads from the one to the "
        "other. On these two sets compare our rows with each other, and with papers that state this "
        "measure; not with the paper's.",
    ]
    far = [row for row in rows if row.data in COMPARABLE and abs(row.test - row.paper_test) > 0.3]
    for row in far:
        more = "above" if row.test > row.paper_test else "below"
        lines.append(
            f"{TITLES[row.data]}, {NAMES[row.cell]}: ours is {abs(row.test - row.paper_test):.2f} {more} "
            "the paper's."
        )
    return "\n\n".join(lines) + "\n\nTest NLL under four conventions:"


def _settings() -> str:
    """Return in words how runs were trained and pruned."""
    sets = _markdown(
        ["data", "pieces in a batch", "epochs at most", "patience", "rates compared after"],
        [
            (
                TITLES[data],
                training.batch_size,
                training.epochs,
                training.patience,
                " and ".join(map(str, training.rungs)) + " epochs",
            )
            for data, training in TRAININGS.items()
        ],
    )
    kept = " and then ".join(map(str, KEPT))
    return f"""From the paper: RMSProp, weight noise of standard deviation 0.075 on the recurrent
matrices, gradients rescaled to a norm of at most 1, the best of {RATES} learning rates drawn as
exp(U({LOWEST:g}, {HIGHEST:g})), early stopping on validation. No dropout, no averaged weights. The rates are
the same for all (seed {RATE_SEED}), numbered from low to high.

Chosen here, since the paper doesn't say: RMSProp's decay {DECAY} and momentum {MOMENTUM};
schedule `{SCHEDULE}`; and

{sets}

**Pruning.** All rates train for as many epochs as the table says; the best {kept} go on, those with the
lowest validation NLL up to there. Those that are left are trained until early stopping, and the lowest NLL
decides. A rate whose loss becomes infinite is out. The rule looks at the same epochs of every run, so it
doesn't depend on the number of processes or on interruptions. With `--quick` the best known rate is trained
alone."""


def _markdown_choice(rows: Sequence[Row]) -> str:
    head = ["data", "unit", "parameters", "chosen rate", "number", "epochs", "best epoch", "seconds", "seeds"]
    lines = [
        (
            TITLES[row.data],
            f"{NAMES[row.cell]} {row.hidden}",
            f"{row.parameters:,}",
            f"{row.learning_rate:.2e}",
            f"{row.rate or '-'} of {RATES}" + (", the only one tried" if row.rates == 1 else ""),
            row.epochs,
            row.best_epoch,
            f"{row.seconds:.0f}",
            row.seeds,
        )
        for row in rows
    ]
    return _markdown(head, lines)


def _markdown_rates(rates: Sequence[Rate]) -> str:
    head = ["data", "unit", "rate", "learning rate", "epochs", "valid NLL", "state"]
    lines = [
        (
            TITLES[rate.data],
            NAMES[rate.cell],
            rate.rate,
            f"{rate.learning_rate:.2e}",
            rate.epochs,
            f"{rate.valid:.3f}",
            rate.state,
        )
        for rate in rates
    ]
    return _markdown(head, lines)


def _figure(value: float, deviation: float | None) -> str:
    return f"{value:.2f}" if deviation is None else f"{value:.2f} ± {deviation:.2f}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def _write_table(path: Path, rows: Sequence[dict[str, Any]], markdown: str) -> None:
    """Write a table three times: for readers, for spreadsheets and for programs."""
    write_bytes(path.with_suffix(".md"), (markdown + "\n").encode())
    write_json(path.with_suffix(".json"), json.loads(json.dumps(rows)))
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_bytes(path.with_suffix(".csv"), buffer.getvalue().encode())
