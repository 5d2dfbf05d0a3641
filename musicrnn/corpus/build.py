"""Pieces -> corpus, in parallel, with one line of report per piece."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from musicrnn.corpus.sources import Collection, Source
from musicrnn.corpus.store import Corpus, CorpusWriter, Piece, open_corpus, pack, row_bytes
from musicrnn.errors import CorpusError, MidiError, MusicRNNError, about
from musicrnn.files import read_bytes, whole_directory
from musicrnn.music import Layout, read_midi, to_pianoroll

SERIAL = 256
"""Below this many pieces, starting processes costs more than it saves."""


@dataclass(frozen=True)
class Converted:
    """A piece as packed frames, or the reason why there is none.

    Attributes:
        source: Where it came from.
        packed: Its frames, packed; empty if it was skipped.
        reason: A short code for why it was skipped, or None.
        detail: That reason in words.
        sha256: Checksum of the MIDI file.
        tempo: Quarter notes per minute that hold longest.
        metre: Time signature that holds longest.
        outside: Notes left out because they are outside the pitch range.
    """

    source: Source
    packed: bytes = b""
    reason: str | None = None
    detail: str = ""
    sha256: str | None = None
    tempo: float | None = None
    metre: tuple[int, int] | None = None
    outside: int = 0


@dataclass(frozen=True)
class Prepared:
    """What came of a request.

    Attributes:
        corpus: The corpus, opened.
        skipped: Pieces that were left out.
        reasons: How many for each reason.
        seconds: Time it took.
    """

    corpus: Corpus
    skipped: int
    reasons: dict[str, int]
    seconds: float


def build_corpus(
    collection: Collection,
    layout: Layout,
    directory: Path,
    *,
    seed: int = 0,
    shares: tuple[float, float] = (0.1, 0.1),
    workers: int = 1,
    progress: Callable[[Iterable[Converted], int], Iterable[Converted]] = lambda pieces, _: pieces,
) -> Prepared:
    """Prepare a collection as a corpus.

    Args:
        collection: The pieces.
        layout: What the rows and columns of the rolls are to mean.
        directory: Where the corpus goes; a corpus that is there is replaced, anything else is not.
        seed: Seeds the splits of pieces whose source gives none.
        shares: Shares of validation and test pieces.
        workers: Processes that read and convert. The bytes written don't depend on it.
        progress: Wraps the converted pieces as they come, given their number.

    Returns:
        The corpus, and an account of what was left out.

    Raises:
        CorpusError: No piece could be read, or ``directory`` holds something else.
        FileError: ``directory`` can't be written.
    """
    started = time.monotonic()
    if directory.exists() and not (directory / "corpus.json").exists() and any(_entries(directory)):
        raise CorpusError(f"{directory}: expected a corpus or an empty folder to write to, found other files")
    pieces: list[Piece] = []
    reasons: dict[str, int] = {}
    first_detail = ""
    with whole_directory(directory) as folder, CorpusWriter(folder, layout) as writer:
        with (folder / "report.jsonl").open("w", encoding="utf-8") as report:
            for piece in progress(_convert_all(collection.pieces, layout, workers), len(collection.pieces)):
                report.write(json.dumps(_report_line(piece, layout), ensure_ascii=False) + "\n")
                if piece.reason is not None:
                    reasons[piece.reason] = reasons.get(piece.reason, 0) + 1
                    first_detail = first_detail or piece.detail
                    continue
                offset, crc32 = writer.add(piece.packed)
                frames, facts = writer.frames - offset, (piece.sha256, piece.tempo, piece.metre)
                pieces.append(
                    Piece(piece.source.name, piece.source.split or "", frames, offset, crc32, *facts)
                )
        if not pieces:
            count = len(collection.pieces)
            raise CorpusError(
                first_detail if count == 1 else f"none of {count} pieces can be read; {first_detail}"
            )
        splits = assign_splits([piece.split or None for piece in pieces], shares, seed)
        writer.finish(collection.name, [replace(p, split=s) for p, s in zip(pieces, splits, strict=True)])
    return Prepared(open_corpus(directory), sum(reasons.values()), reasons, time.monotonic() - started)


def assign_splits(given: Sequence[str | None], shares: tuple[float, float], seed: int) -> list[str]:
    """Return a split for every piece.

    Where the source names splits they are kept; validation pieces, if it has none, are taken from its
    training pieces. Elsewhere a shuffle that ``seed`` fixes decides. A share above zero gets at least one
    piece as long as one remains to train on.

    Args:
        given: The split that the source puts each piece in, or None.
        shares: Shares of validation and test pieces.
        seed: Seeds the shuffle.
    """
    named = set(given) - {None}
    splits = [split or "train" for split in given]
    free = [index for index, split in enumerate(splits) if split == "train"]
    random.Random(seed).shuffle(free)
    total = len(free)
    for split, share in zip(("valid", "test"), shares, strict=True):
        if split in named or share == 0 or (split == "test" and named):
            continue
        for _ in range(min(max(1, round(share * total)), len(free) - 1)):
            splits[free.pop()] = split
    return splits


def convert(source: Source, layout: Layout) -> Converted:
    """Read one piece and pack it; what goes wrong becomes its reason."""
    if source.roll is not None:
        return Converted(source, pack(source.roll))
    try:
        content = read_bytes(source.path)
        score = read_midi(content, str(source.path))
        pitch = score.pitched()["pitch"]
        if not len(pitch):
            found = "only drums" if score.note_count else "none"
            raise MidiError(f"{source.path}: expected notes, found {found}", "no-notes")
        with about(source.path):
            roll = to_pianoroll(score, layout.resolution, (layout.low, layout.high), layout.channels)
        outside = int(((pitch < layout.low) | (pitch > layout.high)).sum())
        if outside == len(pitch):
            raise MidiError(
                f"{source.path}: expected notes in {layout.low}:{layout.high}, found none", "no-notes"
            )
    except MidiError as error:
        return Converted(source, reason=error.reason, detail=str(error))
    except MusicRNNError as error:
        return Converted(source, reason="unusable", detail=str(error))
    digest = hashlib.sha256(content).hexdigest()
    return Converted(
        source, pack(roll), sha256=digest, tempo=score.main_tempo(), metre=score.main_metre(), outside=outside
    )


def _convert_all(sources: Sequence[Source], layout: Layout, workers: int) -> Iterator[Converted]:
    """Convert all pieces, in order."""
    one = partial(convert, layout=layout)
    if workers <= 1 or len(sources) < SERIAL:
        yield from map(one, sources)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(one, sources, chunksize=32)


def _report_line(piece: Converted, layout: Layout) -> dict[str, object]:
    if piece.reason is not None:
        return {"name": piece.source.name, "reason": piece.reason, "detail": piece.detail}
    line: dict[str, object] = {"name": piece.source.name, "frames": len(piece.packed) // row_bytes(layout)}
    return {**line, "notes_out_of_range": piece.outside} if piece.outside else line


def _entries(directory: Path) -> Iterator[Path]:
    return directory.iterdir() if directory.is_dir() else iter([directory])
