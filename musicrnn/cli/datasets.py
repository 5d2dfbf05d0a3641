"""``musicrnn datasets``: the published data sets that are known by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.present.text import labelled
from musicrnn.errors import UsageError

if TYPE_CHECKING:
    from musicrnn.corpus.registry import Dataset


def datasets(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="list, or get NAME.")] = "list",
    name: Annotated[str | None, typer.Argument(help="The data set to download.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="With get: check the copy in this folder, without a network."
        ),
    ] = None,
) -> None:
    """List the published data sets, or download one and verify its checksum.

    Downloads go to $MUSICRNN_CACHE, else to the user's cache folder; an interrupted one is resumed.
    """
    from musicrnn.corpus.registry import DATASETS

    if action == "get":
        if name not in DATASETS:
            raise UsageError(
                f"datasets get: expected one of {', '.join(DATASETS)}; found {name or 'no name'}"
            )
        path = str(fetch_with_progress(DATASETS[name], source))
        console.report({"name": name, "file": path}, [path])
    elif action != "list":
        raise UsageError(f"datasets: expected list or get, found {action}")
    elif name is not None or source is not None:
        raise UsageError("datasets list: expected no NAME and no --from; they belong to get")
    else:
        known = list(DATASETS.values())
        console.report([asdict(dataset) for dataset in known], map(_described, known))


def fetch_with_progress(dataset: Dataset, source: Path | None = None) -> Path:
    """Fetch a data set, with a progress bar where there is a terminal.

    Args:
        dataset: The data set.
        source: A folder that holds a copy, or None to use the cache and the network.

    Returns:
        The checked local copy.

    Raises:
        CorpusError: There is no copy, it can't be fetched, or it isn't what was published.
        FileError: The copy can't be read, or the cache can't be written.
    """
    from musicrnn.corpus.fetch import fetch

    with console.progress(dataset.file, dataset.bytes, "MB", show=_megabytes) as advance:
        return fetch(dataset, source, advance)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}"


def _described(dataset: Dataset) -> str:
    frames = (
        f"{dataset.frame_seconds} s/frame" if dataset.resolution is None else f"{dataset.resolution}/quarter"
    )
    size = "size varies" if dataset.bytes is None else f"{dataset.bytes:,} bytes"
    pin = f"commit {dataset.commit}" if dataset.sha256 is None else f"sha256 {dataset.sha256}"
    title = f"{dataset.title} | {frames} | {size} | licence: {dataset.licence}"
    more = filter(None, (dataset.citation, dataset.note, dataset.address, pin))
    return "\n".join(labelled([(dataset.name, title), *(("", line) for line in more)], 16))
