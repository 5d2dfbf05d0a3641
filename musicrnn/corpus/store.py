"""The on-disk format of a corpus: ``corpus.json``, ``index.npy`` and ``frames.bin``.

``frames.bin`` holds the frames of all pieces one after the other, each frame packed to ceil(D / 8) bytes,
first column in the highest bit: near one bit per cell. ``corpus.json`` describes the corpus and lists the
pieces, one a line. ``index.npy`` has the position of each piece in the two. It is memory-mapped, frames are
read piece by piece, and of ``corpus.json`` only the head, so the time to open a corpus doesn't depend on its
size. The CRC-32 of a piece is checked whenever it is read, that of the index when the corpus is opened.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import CorpusError, RollError
from musicrnn.files import read_bytes, read_document
from musicrnn.music import Layout, PianoRoll

FORMAT = "musicrnn-corpus"
VERSION = 2
SPLITS = ("train", "valid", "test")
PIECES = b'"pieces": ['
"""Separates the head of ``corpus.json`` from the lines of the pieces."""
INDEX = np.dtype(
    [(name, "<u8") for name in ("offset", "line")]
    + [(name, "<u4") for name in ("frames", "size", "crc32", "part")]
    + [("content", "V16"), ("split", "u1"), ("lowest", "u1")]
)
"""A row of the index. Of a piece: its first row in ``frames.bin`` and its frames; the first byte of its line,
counted from the first line in ``corpus.json``, and the bytes of the line; the checksum of its packed frames;
the position of its split in ``SPLITS``. Of the piece before it was cut: its number, the hash of its content
in any key, and its lowest column."""

KEPT_UNPACKED = 2**27  # cells up to which a split that is read repeatedly is kept as bytes
_HEAD_BYTES = 2**16

Item = TypeVar("Item")


@dataclass(frozen=True)
class PieceFacts:
    """Facts about a piece, as in ``corpus.json``.

    Attributes:
        name: Its file, relative to the folder or archive that was prepared.
        split: ``train``, ``valid`` or ``test``.
        frames: Its length T.
        offset: Row of ``frames.bin`` at which it starts.
        crc32: Checksum of its packed frames.
        sha256: Checksum of its file, or None where that file holds many pieces.
        tempo: Quarter notes per minute for the longest time, or None where the source has no tempo.
        metre: Time signature for the longest time, or None where the source has none.
    """

    name: str
    split: str
    frames: int
    offset: int
    crc32: int
    sha256: str | None = None
    tempo: float | None = None
    metre: tuple[int, int] | None = None


class Rows(Sequence[Item]):
    """What belongs to rows of the index; each item is read when it is asked for."""

    def __init__(self, read: Callable[[Any], Item], rows: NDArray[np.int64]) -> None:
        self._read = read
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self._read(row) for row in self._rows[index]]
        return self._read(self._rows[index])


class Split(Rows[PianoRoll]):
    """The pieces of one split; each is read from disk when it is asked for.

    Attributes:
        lengths: Frames of each piece, shape (N,).
        pieces: Facts about each piece.
    """

    def __init__(self, corpus: Corpus, rows: NDArray[np.int64]) -> None:
        super().__init__(corpus.roll, rows)
        self.lengths: NDArray[np.int64] = corpus.index["frames"][rows].astype(np.int64)
        self.pieces = Rows(corpus.piece, rows)
        self._corpus = corpus
        self._unpacked: dict[int, NDArray[np.uint8]] = {}

    @property
    def frames(self) -> int:
        """Number of frames in all pieces."""
        return int(self.lengths.sum())

    @property
    def layout(self) -> Layout:
        """What the rows and columns of the rolls mean."""
        return self._corpus.layout

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the frames of a piece, shape (T, D), not to be changed: those of small splits are kept."""
        if index in self._unpacked:
            return self._unpacked[index]
        frames = self[index].frames
        if self.frames * frames.shape[1] <= KEPT_UNPACKED:
            self._unpacked[index] = frames
        return frames

    def packed(self, index: int) -> NDArray[np.uint8]:
        """Return the packed frames of a piece, shape (T, ceil(D / 8))."""
        return self._corpus.packed(self._rows[index])

    def rates(self, enough: int = 2**18) -> NDArray[np.float64]:
        """Return how often each cell is one, shape (D,).

        Args:
            enough: Frames that are enough; of larger splits only evenly spaced pieces are read.
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
        head: ``corpus.json`` without the list of pieces, as JSON values.
        index: Positions of the pieces, dtype ``INDEX``, memory-mapped.
        pieces: Facts about every piece, in the order of ``frames.bin``.
    """

    def __init__(self, directory: Path, head: Mapping[str, Any], index: NDArray[Any], begun: int = 0) -> None:
        self.directory = directory
        self.name = str(head["name"])
        self.layout = Layout.from_dict(head)
        self.head = head
        self.index = index
        self.pieces = Rows(self.piece, np.arange(len(index)))
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

    def piece(self, row: int | np.integer[Any]) -> PieceFacts:
        """Return the facts about the piece of a row of the index.

        Raises:
            CorpusError: They are damaged.
        """
        path, entry = self.directory / "corpus.json", self.index[row]
        if self._lines is None:
            self._lines = _map_file(path)
        start = self._begun + int(entry["line"])
        try:
            facts = json.loads(self._lines[start : start + int(entry["size"])])
        except ValueError:  # the document was rewritten with other line breaks
            facts = self._listed(path, int(row))
        try:
            metre = facts.get("metre")
            return PieceFacts(**{**facts, "metre": (int(metre[0]), int(metre[1])) if metre else None})
        except (ValueError, TypeError, AttributeError) as error:
            raise CorpusError(f"{path}: expected facts about a piece, found {facts!r}") from error

    def _listed(self, path: Path, row: int) -> Any:
        """Return an entry of the list of pieces, after reading the whole document."""
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
            CorpusError: The checksum of its frames is wrong.
        """
        packed = self.packed(row)
        return PianoRoll.trusted(np.unpackbits(packed, axis=1, count=self.layout.width), self.layout)

    def packed(self, row: int | np.integer[Any]) -> NDArray[np.uint8]:
        """Return the packed frames of the piece of a row of the index, shape (T, ceil(D / 8)).

        Raises:
            CorpusError: Their checksum is wrong.
        """
        path, entry, width = self.directory / "frames.bin", self.index[row], row_bytes(self.layout)
        try:  # read, not mapped: a system maps megabytes around what is read, and keeps them
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
        found = "a folder without corpus.json" if directory.is_dir() else "a file"
        found = found if directory.exists() else "nothing"
        asked = "expected a corpus (a folder that `musicrnn prepare` wrote)"
        raise CorpusError(f"{directory}: {asked}, found {found}")
    with path.open("rb") as file:  # no more than necessary, so without the pieces
        begun, pieces, _ = file.read(_HEAD_BYTES).partition(PIECES)
    begun = begun + PIECES + b"\n]}" if pieces else read_bytes(path)
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


def pack_frames(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack each frame to ceil(D / 8) bytes, shape (T, D) to shape (T, ceil(D / 8))."""
    if frames.shape[1] % 8:
        return np.packbits(frames, axis=1)
    return np.packbits(frames).reshape(len(frames), -1)  # twice as fast where frames fill their bytes


def row_bytes(layout: Layout) -> int:
    """Return the bytes of one packed frame."""
    return -(-layout.width // 8)


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
