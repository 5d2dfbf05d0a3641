"""Files of published piano rolls, already split into train, valid and test.

There are three formats:

- ``.mat``: cell arrays ``traindata``, ``validdata`` and ``testdata`` of binary rolls (T, 88).
- ``.json``: ``train``, ``valid`` and ``test``, each a list of pieces; a piece is a list of frames, a frame
  a list of MIDI pitches.
- ``.pickle`` or ``.pkl``: the same as JSON, where a list may be a tuple or an array.

A frame of pitches may hold -1, null or NaN where a voice rests. A frame 88 wide is binary. No format has
onsets.

References:
    Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, for the four data sets.
    github.com/czhuang/JSB-Chorales-dataset for JSON, and for rests where voices are kept apart.
"""

from __future__ import annotations

import io
import json
import math
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr  # a value from a file may be long
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.registry import identify
from musicrnn.corpus.unpickle import load
from musicrnn.errors import CorpusError, RollError
from musicrnn.files import read_bytes
from musicrnn.music import Layout, PianoRoll

SUFFIXES = frozenset({".mat", ".json", ".pickle", ".pkl"})
MAX_BYTES = 2**28  # largest file that is read
MAX_UNPACKED = 2**30
"""Most bytes that a compressed .mat file may unpack to: thirty times those of the largest benchmark."""
MAX_FRAMES = 2**23  # most frames of a file: twenty times those of the largest benchmark
MAX_VOICES = 128  # most pitches of a frame, rests and unisons included

_SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing"),
}
_RESOLUTIONS = {"quarter": 1, "8th": 2, "16th": 4}


class Published(NamedTuple):
    """The content of a published file.

    Attributes:
        name: The data set's name in the registry, or the file's without its suffix.
        layout: Pitches 21 to 108 without onsets, so 88 columns.
        pieces: Name, split and roll of each, in the order train, valid, test.
    """

    name: str
    layout: Layout
    pieces: list[tuple[str, str, PianoRoll]]


def read_published(path: Path, resolution: int | None = None) -> Published:
    """Read a file of published piano rolls.

    Args:
        path: A file with one of ``SUFFIXES``.
        resolution: Frames per quarter note, if the registry doesn't know the file. The default is that in
            the file's name (quarter, 8th, 16th), else that of ``Layout``.

    Raises:
        FileError: The file can't be read.
        CorpusError: The file is too large, is damaged or lacks a split; a pickle asks for more than data;
            or a piece has no frames, values that aren't binary, or pitches outside 21 to 108.
        RollError: ``resolution`` is out of range.
    """
    if path.is_file() and (size := path.stat().st_size) > MAX_BYTES:
        raise CorpusError(f"{path}: expected at most {MAX_BYTES} bytes, found {size}")
    content = read_bytes(path)
    dataset = identify(content)
    in_name = re.search(r"quarter|(?<!\d)(?:8th|16th)", path.stem.lower())
    named = _RESOLUTIONS[in_name[0]] if in_name else None
    stated = (dataset.resolution if dataset else None, resolution, named, Layout.resolution)
    layout = Layout(next(value for value in stated if value is not None), channels="frame")
    matlab = path.suffix.lower() == ".mat"
    document = _document(content, path)
    pieces: list[tuple[str, str, PianoRoll]] = []
    frames = 0
    for split, key in _keys(document, path).items():
        for index, piece in enumerate(_pieces(document[key], f"{path}: {key}")):
            where = f"{path}: {key} {index}"
            roll = _roll(np.asarray(piece) if matlab else _cells(piece, layout, where), layout, where)
            pieces.append((f"{split}/{index:04d}", split, roll))
            frames += len(roll)
            if frames > MAX_FRAMES:
                raise CorpusError(f"{where}: expected at most {MAX_FRAMES} frames in all, found more")
    return Published(dataset.name if dataset else path.stem, layout, pieces)


def _document(content: bytes, path: Path) -> Mapping[Any, Any]:
    """Return the values of a file by their keys."""
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return _mat(content, path)
    try:
        document = json.loads(content) if suffix == ".json" else load(content, path)
    except (ValueError, RecursionError, MemoryError) as error:
        raise CorpusError(f"{path}: expected JSON, found damage: {error}") from error
    if not isinstance(document, dict):
        raise CorpusError(f"{path}: expected keys train, valid, test; found {type(document).__name__}")
    return document


def _mat(content: bytes, path: Path) -> Mapping[Any, Any]:
    import scipy.io

    wanted = [name + ending for names in _SPLITS.values() for name in names for ending in ("", "data")]
    try:
        _check_unpacked(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            variables: dict[str, Any] = scipy.io.loadmat(io.BytesIO(content), variable_names=wanted)
    except Exception as error:  # a damaged file makes scipy raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorpusError(f"{path}: expected a .mat file of piano rolls, found damage: {reason}") from error
    return variables


def _check_unpacked(content: bytes) -> None:
    """Unpack the variables of a MATLAB 5 file to check their size: zlib packs zeros 1000 to 1."""
    orders: dict[bytes, Any] = {b"IM": "little", b"MI": "big"}
    order = orders.get(content[126:128])
    position, room = 128, MAX_UNPACKED
    while order and position + 8 <= len(content):
        kind, size = (int.from_bytes(content[at : at + 4], order) for at in (position, position + 4))
        position += 8
        packed = content[position : position + size] if kind == 15 else b""  # miCOMPRESSED
        position += size
        unpacker = zlib.decompressobj()
        while packed:
            room -= len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
            if room < 0:
                raise ValueError(f"more than {MAX_UNPACKED} bytes once unpacked")


def _keys(document: Mapping[Any, Any], path: Path) -> dict[str, str]:
    """Return the key under which each split is found."""
    kind, ending = ("variables", "data") if path.suffix.lower() == ".mat" else ("keys", "")
    keys = {}
    for split, names in _SPLITS.items():
        found = [name + end for name in names for end in ("", "data") if name + end in document]
        if len(found) > 1:
            raise CorpusError(f"{path}: expected {split} once, found {' and '.join(found)}")
        if not found:
            expected = ", ".join(split + ending for split in _SPLITS)
            raise CorpusError(f"{path}: expected {kind} {expected}; {split}{ending} is missing")
        keys[split] = found[0]
    return keys


def _pieces(value: Any, where: str) -> Sequence[Any]:
    """Return the pieces of a split; MATLAB's cells are a table of one row or column."""
    if isinstance(value, np.ndarray) and value.ndim:
        cells = value.dtype == object and value.ndim == 2 and 1 in value.shape
        value = list(value.ravel() if cells else value)
    if not isinstance(value, (list, tuple)):
        raise CorpusError(f"{where}: expected a list of pieces, found {type(value).__name__}")
    if not value:
        raise CorpusError(f"{where}: expected pieces, found none")
    return value


def _roll(cells: NDArray[Any], layout: Layout, where: str) -> PianoRoll:
    if cells.dtype.kind not in "biuf":
        raise CorpusError(f"{where}: expected zeros and ones, found other values")
    other = cells[(cells != 0) & (cells != 1)]
    if other.size:
        raise CorpusError(f"{where}: expected zeros and ones, found {other[0]}")
    try:
        return PianoRoll(cells, layout)
    except RollError as error:
        raise CorpusError(f"{where}: {error}") from error


def _cells(piece: Any, layout: Layout, where: str) -> NDArray[Any]:
    """Return the binary array (T, D) of a piece, which is one or lists the pitches of each frame."""
    if isinstance(piece, np.ndarray) and piece.dtype != object and piece.shape[1:] == (layout.width,):
        return piece
    frames = _frames(piece, where)
    if any(len(frame) != layout.width for frame in frames):
        return _from_pitches(frames, layout, where)
    try:
        return np.array(frames)
    except ValueError as error:
        raise CorpusError(f"{where}: expected zeros and ones, found lists of them") from error


def _frames(piece: Any, where: str) -> list[Sequence[Any]]:
    """Return the frames of a piece as lists or tuples."""
    frames = piece.tolist() if isinstance(piece, np.ndarray) else piece
    if not isinstance(frames, (list, tuple)):
        raise CorpusError(f"{where}: expected a list of frames, found {type(piece).__name__}")
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise CorpusError(f"{where}: expected 1 to {MAX_FRAMES} frames, found {len(frames)}")
    frames = [frame.tolist() if isinstance(frame, np.ndarray) else frame for frame in frames]
    for index, frame in enumerate(frames):
        at = f"{where}: frame {index}"
        if not isinstance(frame, (list, tuple)):
            raise CorpusError(f"{at}: expected a list of pitches, found {type(frame).__name__} {repr(frame)}")
        if len(frame) > MAX_VOICES:
            raise CorpusError(f"{at}: expected at most {MAX_VOICES} pitches, found {len(frame)}")
    return frames


def _from_pitches(frames: list[Sequence[Any]], layout: Layout, where: str) -> NDArray[np.uint8]:
    """Make the binary roll (T, D) of frames of pitches."""
    columns: dict[Any, int | None] = {layout.low + column: column for column in range(layout.pitches)}
    columns |= {-1: None, None: None}  # rests
    cells = bytearray(len(frames) * layout.width)
    for index, frame in enumerate(frames):
        for pitch in frame:
            try:
                column = columns[pitch]  # 60, 60.0 and numpy's 60 are the same key
            except (KeyError, TypeError):
                if isinstance(pitch, (float, np.floating)) and math.isnan(pitch):
                    continue
                expected = f"expected pitches {layout.low} to {layout.high}"
                raise CorpusError(f"{where}: frame {index}: {expected}, found {repr(pitch)}") from None
            if column is not None:
                cells[index * layout.width + column] = 1
    return np.frombuffer(cells, np.uint8).reshape(-1, layout.width)
