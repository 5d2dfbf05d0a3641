"""``musicrnn reproduce``: a paper's tables beside ours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag, require
from musicrnn.errors import MusicRNNError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicrnn.experiments.chung2014.rows import Row


@dataclass(frozen=True)
class StudyFlags:
    """Study."""

    output: Path = flag(Path("models/runs/chung2014"), "Folder of tables, plots and runs.", "--output", "-o")
    only: str = flag("", "Data sets and cells, such as jsb,nottingham,gru. [default: all four and all three]")
    quick: bool = flag(False, "Train only at the best known learning rate for each cell and set.")
    seeds: int = flag(1, "Runs at the best rate; with several, mean and standard deviation are given.")
    workers: int = flag(0, "Processes that train, with a thread each; 0 is one per core.")
    dry_run: bool = flag(False, "Print what would be trained and how long it takes.")
    check: bool = flag(False, "Evaluate the shipped networks; train and write nothing.")
    ship: Path | None = flag(
        None, "Copy the best network of each set and cell to DIR/SET-CELL.", metavar="DIR"
    )


def reproduce(
    paper: Annotated[str, argument("PAPER", "chung2014")] = "chung2014", *, study: StudyFlags
) -> None:
    """Compare the tables and learning curves of Chung et al. (2014) with ours.

    Trains tanh, GRU and LSTM on the four music sets with the paper's settings, at ten learning rates of which
    the worst are pruned, and writes tables, pictures and a page that says which figures are comparable. If
    interrupted or killed, run the same command to continue. --check evaluates the networks that ship with
    the program, in seconds.
    """
    require(paper == "chung2014", "reproduce", "chung2014", paper)
    trains = study.quick or study.dry_run or study.ship is not None or study.seeds != 1
    others = "no --quick, --seeds, --dry-run or --ship"
    require(not (study.check and trains), "--check trains nothing", others, "one")
    from musicrnn.experiments import chung2014
    from musicrnn.experiments.chung2014.paper import open_corpora

    data, cells = _chosen(study.only)
    corpora = open_corpora(data)
    if study.check:
        _print(chung2014.check(corpora, cells, workers=study.workers))
        return
    try:
        found = chung2014.reproduce(
            corpora,
            cells,
            study.output,
            quick=study.quick,
            seeds=study.seeds,
            workers=study.workers,
            dry=study.dry_run,
            log=console.note,
        )
    except KeyboardInterrupt:
        console.note("all runs are saved; run the same command to continue")
        raise
    if study.dry_run:
        console.report({"plan": found.plan, "seconds": round(found.seconds)}, found.plan)
        return
    chosen = [row for row in found.rows if row.data in data and row.cell in cells]
    _print(chosen)
    if chosen:
        console.note(f"tables, pictures and what they mean: {study.output / 'README.md'}")
    if found.failures:
        raise MusicRNNError(
            f"{study.output}: expected all runs to be trained, found failures "
            f"({'; '.join(found.failures)}); run the same command to continue"
        )
    if study.ship is not None:
        folders = chung2014.ship(chosen, {corpus.name: corpus for corpus in corpora}, study.ship)
        console.note(f"{len(folders)} models in {study.ship}")


def _chosen(only: str) -> tuple[list[str], list[str]]:
    """Return the data sets and the cells that ``--only`` names."""
    from musicrnn.experiments.chung2014.paper import CELLS, TABLE_2

    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in TABLE_2 and name not in CELLS]
    require(not unknown, "--only", f"names among {', '.join([*TABLE_2, *CELLS])}", next(iter(unknown), None))
    data = [name for name in TABLE_2 if name in names] or list(TABLE_2)
    return data, [cell for cell in CELLS if cell in names] or list(CELLS)


def _print(rows: Sequence[Row]) -> None:
    from musicrnn.experiments.chung2014.paper import table_1
    from musicrnn.experiments.chung2014.report import CONVENTIONS, LIKELIHOODS, SIZES, markdown

    sizes = table_1()
    tables = [markdown(sizes, SIZES), markdown(rows, LIKELIHOODS), markdown(rows, CONVENTIONS)]
    document = {"table_1": sizes, "table_2": [asdict(row) for row in rows]}
    console.report(document, ["\n\n".join(tables)])
