"""``musicrnn datasets``: the published data sets that are known by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag, require
from musicrnn.cli.present.text import labelled

if TYPE_CHECKING:
    from musicrnn.corpus.registry import Dataset


@dataclass(frozen=True)
class DatasetFlags:
    """Options."""

    source: Path | None = flag(None, "With get: check a copy in this folder.", "--from", metavar="DIR")


def datasets(
    action: Annotated[str, argument("ACTION", "list, or get NAME.")] = "list",
    name: Annotated[str | None, argument("name", "The data set to download.")] = None,
    *,
    flags: DatasetFlags,
) -> None:
    """List the published data sets, or download one and verify its checksum.

    Downloads go to $MUSICRNN_CACHE, else to the user's cache folder; an interrupted one is resumed.
    """
    from musicrnn.corpus.registry import DATASETS

    require(action in ("list", "get"), "datasets", "list or get", action)
    if action == "get":
        known = f"one of {', '.join(DATASETS)}"
        require(name in DATASETS, "datasets get", known, name or "no name")
        path = str(fetch_with_progress(DATASETS[str(name)], flags.source))
        console.report({"name": name, "file": path}, [path])
        return
    require(name is None and flags.source is None, "datasets list", "no NAME and no --from", "one")
    console.report(list(map(asdict, DATASETS.values())), map(_described, DATASETS.values()))


def fetch_with_progress(dataset: Dataset, source: Path | None = None) -> Path:
    """Return the checked copy of a data set as ``corpus.fetch.fetch`` does, with a progress bar."""
    from musicrnn.corpus.fetch import fetch

    with console.progress(dataset.file, dataset.bytes, "MB", show=lambda n: f"{n / 1e6:.1f}") as advance:
        return fetch(dataset, source, advance)


def _described(dataset: Dataset) -> str:
    frames = (
        f"{dataset.frame_seconds} s/frame" if dataset.resolution is None else f"{dataset.resolution}/quarter"
    )
    size = "size varies" if dataset.bytes is None else f"{dataset.bytes:,} bytes"
    pin = f"commit {dataset.commit}" if dataset.sha256 is None else f"sha256 {dataset.sha256}"
    title = f"{dataset.title} | {frames} | {size} | licence: {dataset.licence}"
    lines = filter(None, (title, dataset.citation, dataset.note, dataset.address, pin))
    return "".join(labelled([(dataset.name, "\n".join(lines))], 16))
