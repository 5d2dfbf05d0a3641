"""Where pieces come from: MIDI files, folders, globs, names on stdin, published rolls, bundled chorales."""

from __future__ import annotations

import glob
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musicrnn.bundled import bundled
from musicrnn.corpus.registry import DATASETS, fetch, identify
from musicrnn.corpus.store import SPLITS
from musicrnn.errors import CorpusError, RollError
from musicrnn.files import read_bytes
from musicrnn.music import Layout, PianoRoll

MIDI_SUFFIXES = {".mid", ".midi", ".kar", ".rmi", ".smf"}
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
}
BUNDLED = "chorales"


@dataclass(frozen=True)
class Source:
    """One piece that is to be prepared.

    Attributes:
        name: Its name in reports and in the corpus.
        path: The MIDI file, or the published file that holds it.
        split: The split that the source puts it in, or None.
        roll: Its frames, where the source publishes rolls.
    """

    name: str
    path: Path
    split: str | None = None
    roll: PianoRoll | None = None


@dataclass(frozen=True)
class Collection:
    """All pieces of a request.

    Attributes:
        name: A name for the corpus.
        pieces: The pieces, in a fixed order.
        layout: The layout of published rolls, or None for MIDI files, whose notes fit any.
    """

    name: str
    pieces: list[Source]
    layout: Layout | None = None


def collect(arguments: Sequence[str], names: Iterable[str] = (), resolution: int | None = None) -> Collection:
    """Find the pieces that the arguments of ``prepare`` name.

    Args:
        arguments: Files, folders, globs, names of data sets, or ``-``; none means the bundled chorales.
        names: The lines behind ``-``: a path each.
        resolution: Frames per quarter note of published rolls whose file says nothing of it.

    Returns:
        The pieces, sorted within each source.

    Raises:
        CorpusError: A source is missing, holds no MIDI file, or is no file that can be read.
    """
    paths = [path for argument in arguments for path in _paths(argument, names)]
    paths = paths if arguments else [bundled("data/chorales")]
    if not paths:
        raise CorpusError("-: expected names of files on stdin, found none")
    published = [path for path in paths if path.suffix.lower() == ".mat"]
    if published and len(paths) > 1:
        raise CorpusError(f"{published[0]}: expected a .mat file alone, found {len(paths)} sources")
    if published:
        return _published(published[0], resolution)
    prefix = len({path for path in paths if path.is_dir()}) > 1
    pieces = [piece for path in paths for piece in _midi(path, prefix)]
    return Collection(paths[0].stem if len(paths) == 1 else "corpus", pieces)


def _paths(argument: str, names: Iterable[str]) -> Iterator[Path]:
    """Resolve one argument to files and folders that exist."""
    path = Path(argument)
    if argument == "-":
        yield from (Path(line.rstrip("\r\n")) for line in names if line.strip())
    elif path.exists():
        yield path
    elif argument == BUNDLED:
        yield bundled("data/chorales")
    elif argument in DATASETS:
        yield fetch(DATASETS[argument])
    elif found := sorted(glob.glob(argument, recursive=True)):
        yield from map(Path, found)
    else:
        known = ", ".join([BUNDLED, *DATASETS])
        raise CorpusError(
            f"{argument}: expected a file, a folder, a glob, or one of {known}; found nothing there"
        )


def _midi(path: Path, prefix: bool) -> Iterator[Source]:
    """Yield the MIDI files of a folder, or the file itself whatever it is called."""
    if not path.is_dir():
        yield Source(path.name, path)
        return
    found = sorted(
        file for file in path.rglob("*") if file.suffix.lower() in MIDI_SUFFIXES and file.is_file()
    )
    if not found:
        kinds = ", ".join(sorted(MIDI_SUFFIXES))
        raise CorpusError(f"{path}: expected MIDI files ({kinds}) in the folder or below it, found none")
    for file in found:
        relative = file.relative_to(path)
        split = SPLIT_FOLDERS.get(relative.parts[0].lower()) if len(relative.parts) > 1 else None
        yield Source((f"{path.name}/" if prefix else "") + relative.as_posix(), file, split)


def _published(path: Path, resolution: int | None) -> Collection:
    """Read the rolls of a .mat benchmark: 88 columns, one cell array of pieces a split."""
    import scipy.io

    content = read_bytes(path)
    dataset = identify(content)
    per_quarter = Layout.resolution if resolution is None else resolution
    layout = Layout(dataset.resolution if dataset else per_quarter, channels="frame")
    try:
        variables = scipy.io.loadmat(io.BytesIO(content))
    except Exception as error:  # a damaged file makes scipy raise almost anything
        raise CorpusError(f"{path}: expected a .mat file of piano rolls, found damage: {error}") from error
    missing = [f"{split}data" for split in SPLITS if f"{split}data" not in variables]
    if missing:
        raise CorpusError(
            f"{path}: expected variables traindata, validdata, testdata; {missing[0]} is missing"
        )
    pieces = [
        Source(f"{split}/{index:04d}", path, split, _roll(array, layout, f"{path}: {split}data {index}"))
        for split in SPLITS
        for index, array in enumerate(variables[f"{split}data"].ravel())
    ]
    return Collection(dataset.name if dataset else path.stem, pieces, layout)


def _roll(array: Any, layout: Layout, where: str) -> PianoRoll:
    try:
        return PianoRoll(np.asarray(array), layout)
    except (RollError, TypeError, ValueError) as error:
        raise CorpusError(f"{where}: {error}") from error
