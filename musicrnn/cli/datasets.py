"""``musicrnn datasets``: the published data sets that are known by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag
from musicrnn.cli.present.text import labelled
from musicrnn.errors import UsageError

if TYPE_CHECKING:
    from musicrnn.corpus.registry import Dataset


@dataclass(frozen=True)
class DatasetFlags:
    """Options."""

    source: Path | None = flag(
        None, "With get: check the copy in this folder, without a network.", "--from", metavar="DIR"
    )


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

    if action == "get":
        if name not in DATASETS:
            raise UsageError(
                f"datasets get: expected one of {', '.join(DATASETS)}; found {name or 'no name'}"
            )
        path = str(fetch_with_progress(DATASETS[name], flags.source))
        console.report({"name": name, "file": path}, [path])
    elif action != "list":
        raise UsageError(f"datasets: expected list or get, found {action}")
    elif name is not None or flags.source is not None:
        raise UsageError("datasets list: expected no NAME and no --from; they belong to get")
    else:
        known = list(DATASETS.values())
        console.report([asdict(dataset) for dataset in known], map(_described, known))


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
    more = filter(None, (dataset.citation, dataset.note, dataset.address, pin))
    return "\n".join(labelled([(dataset.name, title), *(("", line) for line in more)], 16))
