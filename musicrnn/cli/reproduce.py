"""``musicrnn reproduce``: a paper's tables beside ours."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import Json, Quiet, Verbose
from musicrnn.errors import UsageError


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="chung2014")] = "chung2014",
    only: Annotated[
        str, typer.Option(help="Data sets and cells, such as jsb,nottingham,gru; no cell means all three.")
    ] = "jsb",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where runs and tables go.")] = Path(
        "models/runs/chung2014"
    ),
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Set the tables of Chung et al (2014) beside ours."""
    console.set_level(quiet, verbose)
    if paper != "chung2014":
        raise UsageError(f"reproduce: expected chung2014, found {paper}")
    from musicrnn.cli.progress import Progress
    from musicrnn.corpus import Preparation, build_corpus, collect, open_corpus
    from musicrnn.experiments import chung2014

    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in chung2014.TABLE_2 and name not in chung2014.CELLS]
    if unknown:
        known = ", ".join([*chung2014.TABLE_2, *chung2014.CELLS])
        raise UsageError(f"--only: expected names among {known}; found {unknown[0]}")
    cells = [cell for cell in chung2014.CELLS if cell in names] or list(chung2014.CELLS)
    corpora = []
    for name in (name for name in chung2014.TABLE_2 if name in names) if set(names) - set(cells) else ["jsb"]:
        path = Path("data/prepared") / name
        if not (path / "corpus.json").exists():
            collection = collect([name])
            assert collection.layout is not None
            build_corpus(collection, Preparation(collection.layout), path)
        corpora.append(open_corpus(path))
    rows = chung2014.reproduce(corpora, cells, output, Progress)
    if json:
        sizes = [{**asdict(size), "parameters": size.parameters} for size in chung2014.TABLE_1]
        console.result_json({"table_1": sizes, "table_2": [asdict(row) for row in rows]})
        return
    console.result(f"{chung2014.table_1()}\n\n{chung2014.table_2(rows)}")
