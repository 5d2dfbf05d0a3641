"""The on-disk format of a corpus: ``corpus.json``, ``index.npy`` and ``frames.bin``.

``frames.bin`` holds the frames of all pieces one after the other, each frame packed to ceil(D / 8)
bytes, first column in the highest bit: near one bit per cell. ``corpus.json`` says what they are, and lists
the pieces, one a line. ``index.npy`` says where in the two a piece stands. numpy memory-maps it, frames
are read piece by piece, and of ``corpus.json`` only the head, so opening a corpus of millions costs what
opening one of ten does. Every piece carries a CRC-32 of its bytes, checked whenever it is read; so does the
index.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.duplicates import Duplicates, count_duplicates
from musicrnn.errors import CorpusError, RollError
from musicrnn.files import read_bytes, read_document
from musicrnn.music import Layout, PianoRoll

FORMAT = "musicrnn-corpus"
VERSION = 2
SPLITS = ("train", "valid", "test")
PIECES = b'"pieces": ['
"""What stands in ``corpus.json`` between its head and the lines of the pieces."""
INDEX = np.dtype(
    [
        ("offset", "<u8"),
        ("line", "<u8"),
        ("frames", "<u4"),
        ("size", "<u4"),
        ("crc32", "<u4"),
        ("part", "<u4"),
        ("content", "V16"),
        ("split", "u1"),
        ("lowest", "u1"),
    ]
)
"""A row of the index: a piece's first row in ``frames.bin`` and its frames; its line's first byte, counted
from where the lines of ``corpus.json`` begin, and its bytes; the checksum of its packed frames; the number it
had before it was cut, the hash of what it sounded then, whatever its key, and its lowest column; and the
position of its split in ``SPLITS``."""

_HEAD_BYTES = 2**16


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


class Pieces(Sequence[Piece]):
    """Facts about pieces; each is read from ``corpus.json`` when it is asked for."""

    def __init__(self, corpus: Corpus, rows: NDArray[np.int64]) -> None:
        self._corpus = corpus
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> list[Piece]: ...
    def __getitem__(self, index: int | slice) -> Piece | list[Piece]:
        if isinstance(index, slice):
            return [self._corpus.piece(row) for row in self._rows[index]]
        return self._corpus.piece(self._rows[index])


KEPT_UNPACKED = 2**27
"""Cells up to which a split that is read again and again is kept as bytes."""


class Split(Sequence[PianoRoll]):
    """The pieces of one split; each is read from disk when it is asked for.

    Attributes:
        lengths: Frames of each piece, shape (N,).
        pieces: Facts about each piece.
    """

    def __init__(self, corpus: Corpus, rows: NDArray[np.int64]) -> None:
        self.lengths: NDArray[np.int64] = corpus.index["frames"][rows].astype(np.int64)
        self.pieces = Pieces(corpus, rows)
        self._rows = rows
        self._corpus = corpus
        self._unpacked: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> PianoRoll: ...
    @overload
    def __getitem__(self, index: slice) -> list[PianoRoll]: ...
    def __getitem__(self, index: int | slice) -> PianoRoll | list[PianoRoll]:
        if isinstance(index, slice):
            return [self._corpus.roll(row) for row in self._rows[index]]
        return self._corpus.roll(self._rows[index])

    @property
    def frames(self) -> int:
        """Number of frames in all pieces."""
        return int(self.lengths.sum())

    @property
    def layout(self) -> Layout:
        """What the rows and columns of the rolls mean."""
        return self._corpus.layout

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the frames of a piece to read from, shape (T, D); those of small splits stay unpacked."""
        if index in self._unpacked:
            return self._unpacked[index]
        frames = self[index].frames
        if self.frames * frames.shape[1] <= KEPT_UNPACKED:
            self._unpacked[index] = frames
        return frames

    def packed(self, index: int) -> NDArray[np.uint8]:
        """Return the frames of a piece as they lie on disk, shape (T, ceil(D / 8)); see the module."""
        return self._corpus.packed(self._rows[index])

    def rates(self, enough: int = 2**18) -> NDArray[np.float64]:
        """Return how often each cell is one, shape (D,).

        Args:
            enough: Frames that tell; of larger splits only evenly spaced pieces are read.
        """
        step = max(1, self.frames // enough)
        rows = range(0, len(self), step)
        counts = sum((self[row].frames.sum(axis=0, dtype=np.int64) for row in rows), 0)
        return np.asarray(counts / max(1, int(self.lengths[::step].sum())), np.float64)


class Corpus(Mapping[str, Split]):
    """A prepared corpus: a mapping from the names of its splits to their pieces.

    Attributes:
        directory: Where it is.
        name: What it is called.
        layout: What the rows and columns of its rolls mean.
        head: All that ``corpus.json`` says before it lists the pieces, as JSON values.
        index: Where each piece stands, dtype ``INDEX``, memory-mapped.
        pieces: Facts about every piece, in the order of ``frames.bin``.
    """

    def __init__(self, directory: Path, head: Mapping[str, Any], index: NDArray[Any], begun: int = 0) -> None:
        self.directory = directory
        self.name = str(head["name"])
        self.layout = Layout.from_dict(head)
        self.head = head
        self.index = index
        self.pieces = Pieces(self, np.arange(len(index)))
        self._splits = {
            split: Split(self, np.flatnonzero(index["split"] == code)) for code, split in enumerate(SPLITS)
        }
        self._begun = begun
        self._lines: mmap.mmap | None = None
        self._catalogue: list[Any] | None = None

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
        return int(self.head["frames"])

    def facts(self) -> dict[str, Any]:
        """Return the facts that a model stores about the corpus it is trained on, as JSON values."""
        return {
            "name": self.name,
            "directory": self.directory.as_posix(),
            **self.layout.to_dict(),
            "tempo": self.head["tempo"],
            "metre": self.head["metre"],
        }

    def identity(self) -> dict[str, Any]:
        """Return the facts that make it this corpus, wherever it is: ``corpus_identity`` of its facts."""
        return corpus_identity(self.facts())

    def duplicates(self) -> Duplicates:
        """Count the pieces whose content repeats."""
        return count_duplicates(self.index)

    def piece(self, row: int | np.integer[Any]) -> Piece:
        """Return the facts about the piece of a row of the index.

        Raises:
            CorpusError: They aren't where the index says.
        """
        path, entry = self.directory / "corpus.json", self.index[row]
        if self._lines is None:
            self._lines = _map_file(path)
        start = self._begun + int(entry["line"])
        try:
            facts = json.loads(self._lines[start : start + int(entry["size"])])
        except ValueError:  # someone wrote the document anew, with other line breaks
            facts = self._listed(path, int(row))
        try:
            metre = facts.get("metre")
            return Piece(**{**facts, "metre": (int(metre[0]), int(metre[1])) if metre else None})
        except (ValueError, TypeError, AttributeError) as error:
            raise CorpusError(f"{path}: expected facts about a piece, found {facts!r}") from error

    def _listed(self, path: Path, row: int) -> Any:
        """Return an entry of the list of pieces, the whole document read."""
        if self._catalogue is None:
            try:
                self._catalogue = list(json.loads(read_bytes(path))["pieces"])
            except (ValueError, TypeError, KeyError) as error:
                raise CorpusError(f"{path}: expected a list of pieces, found damage: {error!r}") from error
        if len(self._catalogue) != len(self.index):
            found = len(self._catalogue)
            raise CorpusError(f"{path}: expected {len(self.index)} pieces, found {found}")
        return self._catalogue[row]

    def roll(self, row: int | np.integer[Any]) -> PianoRoll:
        """Return the roll of the piece of a row of the index.

        Raises:
            CorpusError: Its frames aren't those that were written.
        """
        packed = self.packed(row)
        return PianoRoll.trusted(np.unpackbits(packed, axis=1, count=self.layout.width), self.layout)

    def packed(self, row: int | np.integer[Any]) -> NDArray[np.uint8]:
        """Return the frames of the piece of a row of the index as they lie on disk, shape (T, ceil(D / 8)).

        Raises:
            CorpusError: They aren't those that were written.
        """
        path, entry, width = self.directory / "frames.bin", self.index[row], row_bytes(self.layout)
        try:  # read, not mapped: systems map megabytes around what is read, and keep them
            start, size = int(entry["offset"]) * width, int(entry["frames"]) * width
            packed = np.fromfile(path, np.uint8, size, offset=start).reshape(-1, width)
        except (OSError, ValueError) as error:
            raise CorpusError(f"{path}: can't read: {error}") from error
        if zlib.crc32(packed.data) != entry["crc32"]:
            name = self.piece(row).name
            raise CorpusError(f"{path}: expected checksum {entry['crc32']} for {name}, found other bytes")
        return packed


def corpus_identity(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about a corpus, as ``Corpus.facts`` gives them, that don't depend on where it is."""
    return {name: value for name, value in facts.items() if name != "directory"}


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
    begun = _head(path)
    head = read_document(path, FORMAT, VERSION, CorpusError, begun)
    try:
        index = _open_index(directory / "index.npy", int(head["index_crc32"]))
        corpus = Corpus(directory, head, index, len(begun) - len(b"]}"))
        expected = corpus.frames * row_bytes(corpus.layout)
        if int(index["frames"].sum()) != corpus.frames:
            raise ValueError("the index counts other frames")
    except (KeyError, TypeError, ValueError, RollError) as error:
        raise CorpusError(f"{path}: expected the description of a corpus, found damage: {error!r}") from error
    frames = directory / "frames.bin"
    size = frames.stat().st_size if frames.is_file() else 0
    if size != expected:
        raise CorpusError(f"{frames}: expected {expected} bytes, found {size}")
    return corpus


def pack(roll: PianoRoll) -> bytes:
    """Return the frames of a roll as bytes, each frame packed to ceil(D / 8)."""
    return pack_frames(roll.frames).tobytes()


def pack_frames(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack each frame to ceil(D / 8) bytes, shape (T, D) to shape (T, ceil(D / 8))."""
    if frames.shape[1] % 8:
        return np.packbits(frames, axis=1)
    return np.packbits(frames).reshape(len(frames), -1)  # twice as fast where frames fill their bytes


def row_bytes(layout: Layout) -> int:
    """Return the bytes of one packed frame."""
    return -(-layout.width // 8)


def _head(path: Path) -> bytes:
    """Return the document without its pieces, reading no more than has to be."""
    with path.open("rb") as file:
        begun = file.read(_HEAD_BYTES)
    head, found, _ = begun.partition(PIECES)
    return head + PIECES + b"\n]}" if found else read_bytes(path)


def _open_index(path: Path, crc32: int) -> NDArray[Any]:
    if not path.is_file():
        raise CorpusError(f"{path}: expected the index of a corpus, found nothing")
    if zlib.crc32(_map_file(path)) != crc32:
        raise CorpusError(f"{path}: expected checksum {crc32}, found other bytes")
    index: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if index.dtype != INDEX or index.ndim != 1:
        raise CorpusError(f"{path}: expected the index of a corpus, found an array of another kind")
    return index


def _map_file(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: can't read: {error}") from error
