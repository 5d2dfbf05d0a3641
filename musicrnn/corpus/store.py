"""The on-disk format of a corpus: ``corpus.json`` beside ``frames.bin``.

``frames.bin`` holds the frames of all pieces one after the other, each frame packed to ceil(D / 8)
bytes, first column in the highest bit: near one bit per cell. numpy memory-maps it, so opening a corpus
reads only ``corpus.json``. Every piece carries a CRC-32 of its bytes, checked whenever it is read.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import CorpusError, RollError
from musicrnn.files import read_document, write_json
from musicrnn.music import Layout, PianoRoll

FORMAT = "musicrnn-corpus"
VERSION = 1
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Piece:
    """What ``corpus.json`` says of a piece.

    Attributes:
        name: Where it came from, relative to its source.
        split: ``train``, ``valid`` or ``test``.
        frames: Its length T.
        offset: Row of ``frames.bin`` at which it starts.
        crc32: Checksum of its packed frames.
        sha256: Checksum of the file it was made from, or None where that file holds many pieces.
        tempo: Quarter notes per minute that hold longest, or None where the source doesn't say.
        metre: Time signature that holds longest, or None where the source doesn't say.
    """

    name: str
    split: str
    frames: int
    offset: int
    crc32: int
    sha256: str | None = None
    tempo: float | None = None
    metre: tuple[int, int] | None = None


class Split(Sequence[PianoRoll]):
    """The pieces of one split; each is read from disk when it is asked for."""

    def __init__(self, corpus: Corpus, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self._corpus = corpus

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, index: int) -> PianoRoll: ...
    @overload
    def __getitem__(self, index: slice) -> list[PianoRoll]: ...
    def __getitem__(self, index: int | slice) -> PianoRoll | list[PianoRoll]:
        if isinstance(index, slice):
            return [self._corpus.read(piece) for piece in self.pieces[index]]
        return self._corpus.read(self.pieces[index])

    @property
    def frames(self) -> int:
        """Number of frames in all pieces."""
        return sum(piece.frames for piece in self.pieces)

    def ones(self, skip: int = 0) -> NDArray[np.int64]:
        """Count how often each cell is one, the first ``skip`` frames of every piece left out, shape (D,)."""
        counts = np.zeros(self._corpus.layout.width, np.int64)
        for roll in self:
            counts += roll.frames[skip:].sum(axis=0, dtype=np.int64)
        return counts


class Corpus(Mapping[str, Split]):
    """A prepared corpus: a mapping from the names of its splits to their pieces.

    Attributes:
        directory: Where it is.
        name: What it is called.
        layout: What the rows and columns of its rolls mean.
        pieces: Facts about every piece, in the order of ``frames.bin``.
    """

    def __init__(self, directory: Path, name: str, layout: Layout, pieces: Sequence[Piece]) -> None:
        self.directory = directory
        self.name = name
        self.layout = layout
        self.pieces = pieces
        self._splits = {
            split: Split(self, [piece for piece in pieces if piece.split == split]) for split in SPLITS
        }
        self._rows: NDArray[np.uint8] | None = None

    def __getitem__(self, split: str) -> Split:
        if not self._splits.get(split):
            found = ", ".join(self) or "none"
            raise CorpusError(f"{self.directory}: expected a split {split!r} with pieces, found {found}")
        return self._splits[split]

    def __contains__(self, split: object) -> bool:
        return bool(isinstance(split, str) and self._splits.get(split))

    def __iter__(self) -> Iterator[str]:
        return (split for split in SPLITS if self._splits[split])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def frames(self) -> int:
        """Number of frames in all pieces."""
        return sum(piece.frames for piece in self.pieces)

    def facts(self) -> dict[str, Any]:
        """Return what a model has to remember of the corpus it was trained on, as JSON values."""
        tempos = [piece.tempo for piece in self.pieces if piece.tempo]
        metres = Counter(piece.metre for piece in self.pieces if piece.metre)
        return {
            "name": self.name,
            "directory": self.directory.as_posix(),
            **self.layout.to_dict(),
            "tempo": round(median(tempos), 3) if tempos else None,
            "metre": list(metres.most_common(1)[0][0]) if metres else None,
        }

    def read(self, piece: Piece) -> PianoRoll:
        """Return the roll of a piece.

        Raises:
            CorpusError: Its frames aren't those that were written.
        """
        if self._rows is None:
            self._rows = _map_rows(self.directory / "frames.bin", self.frames, self.layout)
        packed = self._rows[piece.offset : piece.offset + piece.frames]
        if zlib.crc32(packed.tobytes()) != piece.crc32:
            path = self.directory / "frames.bin"
            raise CorpusError(f"{path}: expected checksum {piece.crc32} for {piece.name}, found other bytes")
        return PianoRoll(np.unpackbits(packed, axis=1, count=self.layout.width), self.layout)


class CorpusWriter:
    """Writes pieces to ``frames.bin`` as they come, then ``corpus.json``. A context that closes its file.

    Args:
        directory: An empty folder.
        layout: What the rows and columns of every roll mean.
    """

    def __init__(self, directory: Path, layout: Layout) -> None:
        self.layout = layout
        self.frames = 0
        self._directory = directory
        self._file: IO[bytes] = (directory / "frames.bin").open("wb")

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, packed: bytes) -> tuple[int, int]:
        """Append packed frames; return the row at which they start, and their checksum."""
        offset = self.frames
        self._file.write(packed)
        self.frames += len(packed) // row_bytes(self.layout)
        return offset, zlib.crc32(packed)

    def finish(self, name: str, pieces: Sequence[Piece]) -> None:
        """Close ``frames.bin`` and write ``corpus.json``."""
        self._file.close()
        document = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            **self.layout.to_dict(),
            "frames": self.frames,
            "splits": {split: sum(piece.split == split for piece in pieces) for split in SPLITS},
            "pieces": [asdict(piece) for piece in pieces],
        }
        write_json(self._directory / "corpus.json", document)


def open_corpus(directory: Path | str) -> Corpus:
    """Open a prepared corpus.

    Args:
        directory: The folder that ``musicrnn prepare`` wrote.

    Returns:
        The corpus. ``corpus["test"][0]`` is one piece's ``PianoRoll``.

    Raises:
        CorpusError: The folder holds no corpus, one of another version, or a damaged one.
    """
    directory = Path(directory)
    path = directory / "corpus.json"
    if not path.is_file():
        found = (
            "another kind of folder" if directory.is_dir() else "a file" if directory.exists() else "nothing"
        )
        raise CorpusError(
            f"{directory}: expected a corpus (a folder that `musicrnn prepare` wrote), found {found}"
        )
    document = read_document(path, FORMAT, VERSION, CorpusError)
    try:
        layout = Layout.from_dict(document)
        pieces = [_piece(entry) for entry in document["pieces"]]
        corpus = Corpus(directory, str(document["name"]), layout, pieces)
    except (KeyError, TypeError, ValueError, RollError) as error:
        raise CorpusError(f"{path}: expected the description of a corpus, found damage: {error!r}") from error
    frames = directory / "frames.bin"
    size, expected = (frames.stat().st_size if frames.is_file() else 0), corpus.frames * row_bytes(layout)
    if size != expected:
        raise CorpusError(f"{frames}: expected {expected} bytes, found {size}")
    return corpus


def pack(roll: PianoRoll) -> bytes:
    """Return the frames of a roll as bytes, each frame packed to ceil(D / 8)."""
    return np.packbits(roll.frames, axis=1).tobytes()


def row_bytes(layout: Layout) -> int:
    """Return the bytes of one packed frame."""
    return -(-layout.width // 8)


def _piece(entry: dict[str, Any]) -> Piece:
    metre = entry.get("metre")
    piece = Piece(**{**entry, "metre": (int(metre[0]), int(metre[1])) if metre else None})
    if piece.split not in SPLITS or piece.frames < 1 or piece.offset < 0:
        raise ValueError(f"piece {piece.name!r} has an impossible split, length or offset")
    return piece


def _map_rows(path: Path, frames: int, layout: Layout) -> NDArray[np.uint8]:
    shape = (frames, row_bytes(layout))
    try:
        rows: NDArray[np.uint8] = np.memmap(path, np.uint8, "r", shape=shape)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: expected {shape[0]} frames of {shape[1]} bytes: {error}") from error
    return rows
