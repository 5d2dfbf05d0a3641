"""Sources of pieces: files, folders, globs, archives, names on stdin, published rolls and data sets.

Files are listed here and read where they are converted, so that a collection of millions needs no more memory
than its names. Only members of archives are read here, one after the other.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from musicrnn.bundled import bundled
from musicrnn.corpus.archives import SUFFIXES as ARCHIVES
from musicrnn.corpus.archives import is_archive, read_members
from musicrnn.corpus.fetch import fetch
from musicrnn.corpus.published import SUFFIXES as PUBLISHED
from musicrnn.corpus.published import read_published
from musicrnn.corpus.registry import DATASETS, Dataset
from musicrnn.errors import CorpusError, FileError, MidiError
from musicrnn.music import Layout, PianoRoll
from musicrnn.music.midi import read_file
from musicrnn.music.notation import SUFFIXES as NOTATION
from musicrnn.music.notation import split_tunes, suffix_of

MIDI_SUFFIXES = {".mid", ".midi", ".kar", ".rmi", ".smf"}
_NAMES = {"train": ["train", "training"], "valid": ["valid", "validation", "val", "dev"], "test": ["test"]}
SPLIT_NAMES = {name: split for split, names in _NAMES.items() for name in names}
BUNDLED = "chorales"
_SUFFIXES = tuple(sorted(MIDI_SUFFIXES | NOTATION.keys()))


@dataclass(frozen=True)
class Source:
    """One piece to prepare.

    Attributes:
        name: Its name in reports and in the corpus.
        path: Its file; without a file, its name in errors.
        split: The split that its folder or a table assigns it to, or None.
        content: The bytes of the file, where it has been read already.
        roll: Its frames, where rolls are published.
        refusal: Why it can't be read, as text and as a short code.
    """

    name: str
    path: str
    split: str | None = None
    content: bytes | None = None
    roll: PianoRoll | None = None
    refusal: tuple[str, str] | None = None

    def read(self) -> bytes:
        """Return the bytes of its file.

        Raises:
            FileError: The file can't be read.
            MidiError: It is larger than any piece of music.
        """
        return read_file(self.path) if self.content is None else self.content

    def tunes(self) -> Iterator[Source]:
        """Yield itself, or each tune of an ABC file as a source of its own."""
        if suffix_of(self.name) != ".abc" or self.refusal:
            yield self
            return
        try:
            content = self.read()
        except (FileError, MidiError) as error:
            yield replace(self, refusal=(str(error), error.reason))
            return
        tunes = split_tunes(content)
        for number, tune in enumerate(tunes, 1):
            place = f"#{number}" if len(tunes) > 1 else ""
            yield replace(self, name=self.name + place, path=self.path + place, content=tune)


@dataclass(frozen=True)
class Collection:
    """All sources of a request, in a fixed order.

    Attributes:
        name: A name for the corpus.
        places: Functions that yield the sources; they may be called repeatedly.
        count: How many sources there are, or None where an archive would have to be read to know.
        identity: Checksum of names, sizes and modification times.
        layout: The layout of published rolls, or None for notes, which fit any.
        frame_seconds: Length of a frame that suits the data set, or None where frames follow the beat.
    """

    name: str
    places: tuple[Callable[[], Iterator[Source]], ...]
    count: int | None
    identity: str
    layout: Layout | None = None
    frame_seconds: float | None = None

    def __iter__(self) -> Iterator[Source]:
        for place in self.places:
            yield from place()


def collect(
    arguments: Sequence[str],
    names: Iterable[str] = (),
    resolution: int | None = None,
    get: Callable[[Dataset], Path] = fetch,
) -> Collection:
    """Find the sources that the arguments of ``prepare`` name.

    Args:
        arguments: Files, folders, globs, names of data sets, or ``-``; none means the bundled chorales.
        names: The lines read for ``-``, one path each.
        resolution: Frames per quarter note of published rolls whose file doesn't state it.
        get: Returns the local copy of a data set.

    Raises:
        CorpusError: A source is missing, holds no music, or can't be read.
    """
    chorales = _Argument((bundled("data/chorales"),))
    found = [_resolve(argument, names, get) for argument in arguments] or [chorales]
    paths = [path for each in found for path in each.paths]
    if not paths:
        raise CorpusError("-: expected names of files on stdin, found none")
    published = [path for path in paths if path.suffix.lower() in PUBLISHED]
    if published and len(paths) > 1:
        raise CorpusError(f"{published[0]}: expected a file of rolls alone, found {len(paths)} sources")
    if published:
        return _published_rolls(published[0], resolution)
    holders = [path for path in paths if path.is_dir() or is_archive(path)]
    alike = len({_stem(path) for path in holders}) < len(holders)
    prefixes = {path: f"{path if alike else _stem(path)}/" for path in holders if len(holders) > 1}
    places = [place for each in found for place in each.places(prefixes)]
    identity = hashlib.sha256(repr([place.identity() for place in places]).encode()).hexdigest()
    counts = [place.count for place in places]
    count = None if None in counts else sum(filter(None, counts))
    dataset = found[0].dataset if len(found) == 1 else None
    name = dataset.name if dataset else _stem(paths[0]) if len(paths) == 1 else "corpus"
    sources, seconds = tuple(place.sources for place in places), dataset.frame_seconds if dataset else None
    return Collection(name, sources, count, identity, frame_seconds=seconds)


@dataclass(frozen=True)
class _Argument:
    """The paths that one argument names, and the data set if it names one."""

    paths: tuple[Path, ...]
    dataset: Dataset | None = None

    def places(self, prefixes: Mapping[Path, str]) -> Iterator[_FileList | _Archive]:
        """Yield folders, archives and files, the first two with their prefixes for the names of pieces."""
        files: list[str] = []
        for path in self.paths:
            prefix = prefixes.get(path, "")
            if path.is_dir():
                yield _folder(path, prefix)
            elif is_archive(path):
                yield _Archive(path, prefix, self.dataset.members if self.dataset else None)
            else:
                files.append(str(path))
        if files:
            alike = len({Path(file).is_absolute() for file in files}) == 1
            files = files if alike else list(map(os.path.abspath, files))
            base = os.path.commonpath([str(Path(file).parent) for file in files])
            names = [os.path.relpath(file, base or ".").replace(os.sep, "/") for file in files]
            yield _FileList(_slashed(base), names)


@dataclass(frozen=True)
class _FileList:
    """Files below a folder, whose path ends in a slash or is empty."""

    base: str
    names: list[str]
    prefix: str = ""
    splits: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int | None:
        tune_books = any(name.lower().endswith(".abc") for name in self.names)
        return None if tune_books else len(self.names)

    def identity(self) -> str:
        digest = hashlib.sha256(repr((self.base, self.splits)).encode("utf-8", "surrogateescape"))
        for name in self.names:
            try:
                status = Path(self.base + name).stat()
                facts = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"
            except OSError:
                facts = f"{name}\0missing\n"
            digest.update(facts.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def sources(self) -> Iterator[Source]:
        for name in self.names:
            shown = self.prefix + name
            source = Source(shown, self.base + name, self.splits.get(shown) or split_of(name))
            yield from source.tunes()


@dataclass(frozen=True)
class _Archive:
    """The members of a .zip or .tar archive."""

    path: Path
    prefix: str
    members: str | None
    count: int | None = None

    def identity(self) -> str:
        status = self.path.stat()
        return f"{self.path}\0{status.st_size}\0{status.st_mtime_ns}\0{self.members}"

    def sources(self) -> Iterator[Source]:
        splits: dict[str, str] = {}
        for member in read_members(self.path, takes_name, self.members):
            if member.name.lower().endswith(".csv"):
                splits |= _table(member.content or b"", PurePosixPath(member.name).parent.as_posix())
                continue
            name, path = self.prefix + member.name, f"{self.path}:{member.name}"
            split = splits.get(member.name) or split_of(member.name)
            yield from Source(name, path, split, member.content, refusal=member.refusal).tunes()


def takes_name(name: str) -> bool:
    """Return whether a file of this name is taken as music."""
    return name.lower().endswith(_SUFFIXES)


def split_of(name: str) -> str | None:
    """Return the split that a folder in a name is named after, or None."""
    folders = name.lower().split("/")[:-1]
    return next((SPLIT_NAMES[folder] for folder in folders if folder in SPLIT_NAMES), None)


def _resolve(argument: str, names: Iterable[str], get: Callable[[Dataset], Path]) -> _Argument:
    path = Path(argument)
    if argument == "-":
        return _Argument(tuple(Path(line.rstrip("\r\n")) for line in names if line.strip()))
    if path.exists():
        return _Argument((path,))
    if argument == BUNDLED:
        return _Argument((bundled("data/chorales"),))
    if argument in DATASETS:
        return _Argument((get(DATASETS[argument]),), DATASETS[argument])
    if found := sorted(glob.glob(argument, recursive=True)):
        return _Argument(tuple(map(Path, found)))
    known = f"a file, a folder, a glob, or one of {', '.join([BUNDLED, *DATASETS])}"
    raise CorpusError(f"{argument}: expected {known}; found nothing there")


def _folder(path: Path, prefix: str) -> _FileList:
    names: list[str] = []
    splits: dict[str, str] = {}
    for name in _walk(str(path), ""):
        if name.lower().endswith(".csv"):
            splits |= _table((path / name).read_bytes(), PurePosixPath(name).parent.as_posix())
        else:
            names.append(name)
    if not names:
        expected = f"expected music ({', '.join(_SUFFIXES)}) in the folder or below it"
        raise CorpusError(f"{path}: {expected}, found none")
    splits = {prefix + name: split for name, split in splits.items()}
    return _FileList(_slashed(str(path)), names, prefix, splits)


def _walk(folder: str, inside: str) -> Iterator[str]:
    """Yield the names of music and tables below a folder, and of folders that can't be read."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in found)
    except OSError:
        yield inside.removesuffix("/") or "."
        return
    for name, is_folder, is_link in entries:
        if is_folder and not is_link:
            yield from _walk(f"{folder}/{name}", f"{inside}{name}/")
        elif not is_folder and (takes_name(name) or name.lower().endswith(".csv")):
            yield inside + name


def _table(content: bytes, folder: str) -> dict[str, str]:
    """Return the splits in a table with the columns ``midi_filename`` and ``split``, as MAESTRO has one."""
    table = csv.DictReader(io.StringIO(content.decode("utf-8", "replace"), newline=None))
    try:
        rows = list(table) if {"midi_filename", "split"} <= set(table.fieldnames or ()) else []
    except csv.Error:  # some other file of that name
        return {}
    return {
        _slashed(folder) + row["midi_filename"]: SPLIT_NAMES[row["split"].lower()]
        for row in rows
        if row["midi_filename"] and (row["split"] or "").lower() in SPLIT_NAMES
    }


def _published_rolls(path: Path, resolution: int | None) -> Collection:
    rolls = read_published(path, resolution)
    sources = [Source(name, f"{path}: {name}", split, roll=roll) for name, split, roll in rolls.pieces]
    identity = hashlib.sha256(path.read_bytes()).hexdigest()
    return Collection(rolls.name, (lambda: iter(sources),), len(sources), identity, rolls.layout)


def _slashed(folder: str) -> str:
    return "" if folder in ("", ".") else folder.rstrip("/") + "/"


def _stem(path: Path) -> str:
    name = path.name or path.resolve().name
    ending = next((suffix for suffix in ARCHIVES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)] if ending else Path(name).stem
