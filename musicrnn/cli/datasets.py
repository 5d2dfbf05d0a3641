"""``musicrnn datasets``: the published data sets that are known by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import Json, Quiet, Verbose
from musicrnn.errors import UsageError


def datasets(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="list, or get NAME.")] = "list",
    name: Annotated[str | None, typer.Argument(help="The data set to download.", show_default=False)] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the published data sets, or download one with its checksum verified."""
    console.set_level(quiet, verbose)
    from musicrnn.corpus.registry import DATASETS, fetch

    if action == "get":
        if name not in DATASETS:
            raise UsageError(f"datasets get: expected one of {', '.join(DATASETS)}; found {name}")
        path = str(fetch(DATASETS[name]))
        console.result_json({"name": name, "file": path}) if json else console.result(path)
    elif action != "list":
        raise UsageError(f"datasets: expected list or get, found {action}")
    elif json:
        console.result_json([asdict(dataset) for dataset in DATASETS.values()])
    else:
        for dataset in DATASETS.values():
            console.result(
                f"{dataset.name:12} {dataset.title}, {dataset.resolution}/quarter, {dataset.bytes:,} bytes"
            )
            console.result(
                f"{'':12} {dataset.address}\n{'':12} licence: {dataset.licence}; {dataset.citation}"
            )
