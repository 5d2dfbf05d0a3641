"""Chung, Gulcehre, Cho and Bengio 2014: their tables beside ours.

Table 1 is computed from the layers that this program builds. Table 2 is trained with the paper's sizes,
weight noise and gradient clipping, but with Adam at one rate that is known to work, where the paper took
RMSProp at the best of ten rates. Finished runs are kept and used again.

The paper's MuseData and Piano-midi figures follow no averaging that can be recovered: compare those two
rows with care.

References:
    Chung et al. 2014, arXiv:1412.3555, tables 1 and 2, section 4.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus
from musicrnn.evaluation import evaluate
from musicrnn.files import write_bytes, write_json
from musicrnn.nn import Recurrent
from musicrnn.training import Recipe, Watcher, train


@dataclass(frozen=True)
class Size:
    """A row of table 1: a layer's cell, its units, and the parameters that the paper prints, in thousands."""

    task: str
    cell: str
    hidden: int
    inputs: int
    paper: float

    @property
    def parameters(self) -> int:
        """Parameters of the recurrent layer alone, as this program builds it; the LSTM has peepholes."""
        layer = Recurrent(self.cell, self.inputs, self.hidden, peepholes=self.cell == "lstm")
        return sum(parameter.numel() for parameter in layer.parameters())


TABLE_1 = (
    Size("music", "lstm", 36, 100, 19.8),
    Size("music", "gru", 46, 100, 20.2),
    Size("music", "tanh", 100, 100, 20.1),
    Size("speech", "lstm", 195, 20, 169.1),
    Size("speech", "gru", 227, 20, 168.9),
    Size("speech", "tanh", 400, 20, 168.4),
)

UNITS = {size.cell: size.hidden for size in TABLE_1 if size.task == "music"}
CELLS = ("tanh", "gru", "lstm")

TABLE_2 = {
    "nottingham": {"tanh": (3.22, 3.13), "gru": (2.79, 3.23), "lstm": (3.08, 3.20)},
    "jsb": {"tanh": (8.82, 9.10), "gru": (6.94, 8.54), "lstm": (8.15, 8.67)},
    "musedata": {"tanh": (5.64, 6.23), "gru": (5.06, 5.99), "lstm": (5.18, 6.23)},
    "piano-midi": {"tanh": (5.64, 9.03), "gru": (4.93, 8.82), "lstm": (6.49, 9.03)},
}
"""Average NLL that the paper prints, (train, test), by data set and cell."""


@dataclass(frozen=True)
class Row:
    """A cell of table 2: the paper's figures and ours, nats per frame."""

    data: str
    cell: str
    hidden: int
    paper_train: float
    train: float
    paper_test: float
    test: float


def recipe(cell: str, seed: int = 0) -> Recipe:
    """Return the paper's network and regularisation for a cell."""
    return Recipe(
        cell=cell,
        hidden=UNITS[cell],
        peepholes=cell == "lstm",
        input_noise=0.0,
        weight_noise=0.075,
        clip_norm=1.0,
        seed=seed,
    )


def reproduce(
    corpora: Sequence[Corpus],
    cells: Sequence[str],
    directory: Path,
    watcher: Callable[[Recipe, Path], Watcher],
) -> list[Row]:
    """Train every cell on every corpus, and write the tables.

    Args:
        corpora: Corpora named as the keys of ``TABLE_2``.
        cells: Cells among ``CELLS``.
        directory: Where the runs and the tables go.
        watcher: Makes the watcher of a training.

    Returns:
        The rows of table 2, which are also written as ``table2.csv``, ``table2.json`` and ``README.md``.

    Raises:
        FileError: ``directory`` can't be written.
    """
    rows = []
    for corpus in corpora:
        for cell in cells:
            run, chosen = directory / "runs" / f"{corpus.name}-{cell}", recipe(cell)
            if not (run / "README.md").exists():  # the card is written last
                train(corpus, chosen, run, watcher=watcher(chosen, run))
            model = load_model(run)
            ours = [evaluate(model, corpus, split).nll_per_frame for split in ("train", "test")]
            paper = TABLE_2[corpus.name][cell]
            rows.append(Row(corpus.name, cell, UNITS[cell], paper[0], ours[0], paper[1], ours[1]))
    _write(rows, directory)
    return rows


def table_1() -> str:
    """Return table 1 as Markdown."""
    lines = ["| task | unit | units | parameters, paper | parameters, here |", "|---|---|---|---|---|"]
    for size in TABLE_1:
        row = (size.task, size.cell, size.hidden, f"{size.paper:.1f} k", f"{size.parameters / 1000:.1f} k")
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def table_2(rows: Sequence[Row]) -> str:
    """Return table 2 as Markdown."""
    lines = [
        "| data | unit | train, paper | train, here | test, paper | test, here |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.data} | {row.cell} {row.hidden} | {row.paper_train:.2f} | {row.train:.2f} "
        f"| {row.paper_test:.2f} | {row.test:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _write(rows: Sequence[Row], directory: Path) -> None:
    write_json(directory / "table2.json", [asdict(row) for row in rows])
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(asdict(rows[0])) if rows else [])
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    write_bytes(directory / "table2.csv", buffer.getvalue().encode())
    page = (
        "# Chung et al. 2014, tables 1 and 2\n\nParameters of the recurrent layer.\n\n"
        f"{table_1()}\n\nNLL per frame, nats, first frame included, without noise.\n\n{table_2(rows)}\n\n"
        "The paper's averaging on MuseData and Piano-midi can't be recovered; those rows don't compare.\n"
    )
    write_bytes(directory / "README.md", page.encode())
