"""``musicrnn reproduce``: a paper's tables beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import Json, Quiet, Verbose
from musicrnn.errors import MusicRNNError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicrnn.experiments.chung2014 import Row


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="chung2014")] = "chung2014",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where tables, pictures and runs go.")
    ] = Path("models/runs/chung2014"),
    only: Annotated[
        str,
        typer.Option(
            help="Data sets and cells, such as jsb,nottingham,gru. [default: all four and all three]",
            show_default=False,
        ),
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="The best known learning rate for each cell and set alone.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(help="Trainings at the best rate; with several, mean and standard deviation.")
    ] = 1,
    workers: Annotated[int, typer.Option(help="Processes that train, a thread each; 0 is one per core.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long it takes.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Measure the shipped networks; train and write nothing.")
    ] = False,
    ship: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="When all is done, copy the best network of each cell and set to DIR/SET-CELL.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Set the tables and learning curves of Chung et al. (2014) beside ours.

    Trains tanh, GRU and LSTM on the four music sets with the paper's settings, at ten learning rates of which
    hopeless ones are pruned, and writes tables, pictures and a page that says which figures compare.
    Interrupt it or kill it: the same command goes on. --check measures the networks that ship with the
    program, in seconds.
    """
    console.set_level(quiet, verbose)
    if paper != "chung2014":
        raise UsageError(f"reproduce: expected chung2014, found {paper}")
    if check and (quick or dry_run or ship is not None or seeds != 1):
        raise UsageError(
            "--check trains nothing: expected no --quick, --seeds, --dry-run or --ship, found one"
        )
    from musicrnn.experiments import chung2014

    data, cells = _chosen(only)
    corpora = chung2014.open_corpora(data)
    if check:
        _print(chung2014.check(corpora, cells, workers=workers), json)
        return
    try:
        found = chung2014.reproduce(
            corpora,
            cells,
            output,
            quick=quick,
            seeds=seeds,
            workers=workers,
            dry=dry_run,
            tell=console.note,
        )
    except KeyboardInterrupt:
        console.note("all runs are saved; the same command goes on")
        raise
    if dry_run:
        if json:
            console.result_json({"plan": found.plan, "seconds": round(found.seconds)})
        else:
            console.result("\n".join(found.plan))
        return
    chosen = [row for row in found.rows if row.data in data and row.cell in cells]
    _print(chosen, json)
    if chosen:
        console.note(f"tables, pictures and what they mean: {output / 'README.md'}")
    if found.failures:
        raise MusicRNNError(
            f"{output}: expected all runs to be trained, found failures ({'; '.join(found.failures)}); "
            "the same command goes on"
        )
    if ship is not None:
        folders = chung2014.ship(chosen, {corpus.name: corpus for corpus in corpora}, ship)
        console.note(f"{len(folders)} models in {ship}")


def _chosen(only: str) -> tuple[list[str], list[str]]:
    """Return the data sets and the cells that ``--only`` names."""
    from musicrnn.experiments.chung2014 import CELLS, TABLE_2

    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in TABLE_2 and name not in CELLS]
    if unknown:
        raise UsageError(f"--only: expected names among {', '.join([*TABLE_2, *CELLS])}; found {unknown[0]}")
    data = [name for name in TABLE_2 if name in names] or list(TABLE_2)
    return data, [cell for cell in CELLS if cell in names] or list(CELLS)


def _print(rows: Sequence[Row], json: bool) -> None:
    from musicrnn.experiments import chung2014

    if json:
        console.result_json({"table_1": chung2014.table_1(), "table_2": chung2014.documents(rows)})
        return
    tables = [chung2014.markdown_1(), chung2014.markdown_2(rows), chung2014.markdown_conventions(rows)]
    console.result("\n\n".join(tables))
