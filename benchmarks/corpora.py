"""Large corpora, made of copies of a small one."""

from __future__ import annotations

import json
import mmap
import shutil
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.store import INDEX, PIECES


def write_copies(corpus: Corpus, target: Path, size: float) -> Corpus:
    """Write a corpus of repeated copies of the pieces of another, in constant memory.

    Args:
        corpus: The corpus to copy.
        target: A folder that doesn't exist.
        size: Least size of ``frames.bin``, in bytes.

    Returns:
        The new corpus.
    """
    source = corpus.directory / "frames.bin"
    copies = max(1, -int(-size // source.stat().st_size))
    facts = [asdict(piece) for piece in corpus.pieces]
    target.mkdir(parents=True)
    index = np.lib.format.open_memmap(
        target / "index.npy", "w+", dtype=INDEX, shape=(copies * len(corpus.index),)
    )
    with (target / "frames.bin").open("wb") as frames, (target / "pieces").open("wb") as lines:
        for number in range(copies):
            with source.open("rb") as content:
                shutil.copyfileobj(content, frames, 2**24)
            last = number == copies - 1
            rows = _copy_rows(corpus, number)
            rows["line"], rows["size"] = _write_lines(corpus, facts, number, last, lines)
            index[number * len(rows) : (number + 1) * len(rows)] = rows
    index.flush()
    head = {**corpus.head, "name": f"{corpus.name}-{copies}", "frames": copies * corpus.frames}
    head["splits"] = {split: copies * count for split, count in corpus.head["splits"].items()}
    _write_document(target, head)
    return open_corpus(target)


def _copy_rows(corpus: Corpus, number: int) -> Any:
    """Return the rows of the index of a copy, without the positions of their lines."""
    rows = np.array(corpus.index)
    rows["offset"] += np.uint64(number * corpus.frames)
    rows["part"] += np.uint32(number * (int(rows["part"].max(initial=0)) + 1))
    return rows


def _write_lines(
    corpus: Corpus, facts: list[dict[str, Any]], number: int, last: bool, file: Any
) -> tuple[list[int], list[int]]:
    """Write the lines of a copy; return the offset and the size of each, in bytes."""
    starts, sizes = [], []
    for piece in facts:
        name, offset = f"copy-{number:06d}/{piece['name']}", piece["offset"] + number * corpus.frames
        line = json.dumps({**piece, "name": name, "offset": offset}).encode()
        starts.append(file.tell())
        sizes.append(len(line))
        file.write(line + (b"\n" if last and piece is facts[-1] else b",\n"))
    return starts, sizes


def _write_document(target: Path, head: dict[str, Any]) -> None:
    """Write ``corpus.json`` from its head and the lines of the pieces."""
    with (
        (target / "index.npy").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as index,
    ):
        head["index_crc32"] = zlib.crc32(index)
    head.pop("pieces", None)
    document = json.dumps(head, indent=1).encode()
    with (target / "corpus.json").open("wb") as file, (target / "pieces").open("rb") as lines:
        file.write(document.removesuffix(b"\n}") + b",\n " + PIECES + b"\n")
        shutil.copyfileobj(lines, file, 2**24)
        file.write(b" ]\n}\n")
    (target / "pieces").unlink()
