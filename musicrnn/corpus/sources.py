"""Where pieces come from: files, folders, globs, archives, names on stdin, published rolls and data sets.

What is found is listed, not read: pieces are read where they are converted, so that a collection of millions
needs no more memory than its names. Only what travels in archives is read here, piece after piece.
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
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
}
BUNDLED = "chorales"
_SUFFIXES = tuple(MIDI_SUFFIXES | NOTATION.keys())


@dataclass(frozen=True)
class Source:
    """One piece that is to be prepared.

    Attributes:
        name: Its name in reports and in the corpus.
        path: Its file; for what has none, what to call it in errors.
        split: The split that the source puts it in, or None.
        content: The bytes of the file, where it has been read already.
        roll: Its frames, where the source publishes rolls.
        refusal: Why it can't be had, in words and as a short code.
    """

    name: str
    path: str
    split: str | None = None
    content: bytes | None = None
    roll: PianoRoll | None = None
    refusal: tuple[str, str] | None = None

    @property
    def suffix(self) -> str:
        """The suffix of its file's name, in small letters."""
        return suffix_of(self.name)

    def read(self) -> bytes:
        """Return the bytes of its file.

        Raises:
            FileError: The file can't be read.
            MidiError: It is larger than any piece of music.
        """
        return read_file(self.path) if self.content is None else self.content

    def tunes(self) -> Iterator[Source]:
        """Yield itself, or each tune of an ABC file as a source of its own."""
        if self.suffix != ".abc" or self.refusal:
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
    """All pieces of a request, in a fixed order.

    Attributes:
        name: A name for the corpus.
        roots: What yields the pieces; may be walked again and again.
        count: How many pieces there are, or None where only reading an archive would tell.
        identity: Checksum of what was found: names, sizes and times of change.
        layout: The layout of published rolls, or None for notes, which fit any.
        frame_seconds: Length of a frame that suits the data set, or None where frames follow the beat.
    """

    name: str
    roots: tuple[Callable[[], Iterator[Source]], ...]
    count: int | None
    identity: str
    layout: Layout | None = None
    frame_seconds: float | None = None

    def __iter__(self) -> Iterator[Source]:
        for root in self.roots:
            yield from root()


def collect(
    arguments: Sequence[str],
    names: Iterable[str] = (),
    resolution: int | None = None,
    get: Callable[[Dataset], Path] = fetch,
) -> Collection:
    """Find the pieces that the arguments of ``prepare`` name.

    Args:
        arguments: Files, folders, globs, names of data sets, or ``-``; none means the bundled chorales.
        names: The lines behind ``-``: a path each.
        resolution: Frames per quarter note of published rolls whose file says nothing of it.
        get: What brings a data set to this machine.

    Raises:
        CorpusError: A source is missing, holds no piece, or is no file that can be read.
    """
    found = [group for argument in arguments for group in _groups(argument, names, get)]
    found = found if arguments else [_Group((bundled("data/chorales"),))]
    paths = [path for group in found for path in group.paths]
    if not paths:
        raise CorpusError("-: expected names of files on stdin, found none")
    published = [path for path in paths if path.suffix.lower() in PUBLISHED]
    if published and len(paths) > 1:
        raise CorpusError(f"{published[0]}: expected a file of rolls alone, found {len(paths)} sources")
    if published:
        return _published(published[0], resolution)
    holders = [path for path in paths if path.is_dir() or is_archive(path)]
    alike = len({_stem(path) for path in holders}) < len(holders)
    prefixes = {path: f"{path if alike else _stem(path)}/" for path in holders if len(holders) > 1}
    roots = [root for group in found for root in group.roots(prefixes)]
    identity = hashlib.sha256(repr([root.identity() for root in roots]).encode()).hexdigest()
    counts = [root.count for root in roots]
    whole = None if None in counts else sum(count for count in counts if count)
    dataset = found[0].dataset if len(found) == 1 else None
    name = dataset.name if dataset else _stem(paths[0]) if len(paths) == 1 else "corpus"
    return Collection(
        name,
        tuple(root.pieces for root in roots),
        whole,
        identity,
        frame_seconds=dataset.frame_seconds if dataset else None,
    )


@dataclass(frozen=True)
class _Group:
    """What one argument stands for: paths, and the data set that they are."""

    paths: tuple[Path, ...]
    dataset: Dataset | None = None

    def roots(self, prefixes: Mapping[Path, str]) -> Iterator[_Files | _Archive]:
        """Yield what holds pieces; where there are several, each has a prefix for the names of its pieces."""
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
            yield _Files(_slashed(base), names)


@dataclass(frozen=True)
class _Files:
    """Files below a folder, whose path ends in a slash or is empty; their names alone take memory."""

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

    def pieces(self) -> Iterator[Source]:
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

    def pieces(self) -> Iterator[Source]:
        splits: dict[str, str] = {}
        for member in read_members(self.path, takes_name, self.members):
            if member.name.lower().endswith(".csv"):
                splits |= _table(member.content or b"", PurePosixPath(member.name).parent.as_posix())
                continue
            split = splits.get(member.name) or split_of(member.name)
            source = Source(
                self.prefix + member.name,
                f"{self.path}:{member.name}",
                split,
                content=member.content,
                refusal=member.refusal,
            )
            yield from source.tunes()


def takes_name(name: str) -> bool:
    """Whether a file of this name is taken as music."""
    return name.lower().endswith(_SUFFIXES)


def split_of(name: str) -> str | None:
    """Return the split that a folder in a name says, or None."""
    folders = name.lower().split("/")[:-1]
    return next((SPLIT_NAMES[folder] for folder in folders if folder in SPLIT_NAMES), None)


def _groups(argument: str, names: Iterable[str], get: Callable[[Dataset], Path]) -> Iterator[_Group]:
    """Resolve one argument to files and folders that exist."""
    path = Path(argument)
    if argument == "-":
        yield _Group(tuple(Path(line.rstrip("\r\n")) for line in names if line.strip()))
    elif path.exists():
        yield _Group((path,))
    elif argument == BUNDLED:
        yield _Group((bundled("data/chorales"),))
    elif argument in DATASETS:
        yield _Group((get(DATASETS[argument]),), DATASETS[argument])
    elif found := sorted(glob.glob(argument, recursive=True)):
        yield _Group(tuple(map(Path, found)))
    else:
        known = ", ".join([BUNDLED, *DATASETS])
        raise CorpusError(
            f"{argument}: expected a file, a folder, a glob, or one of {known}; found nothing there"
        )


def _folder(path: Path, prefix: str) -> _Files:
    names: list[str] = []
    splits: dict[str, str] = {}
    for name in _walk(str(path), ""):
        if name.lower().endswith(".csv"):
            splits |= _table((path / name).read_bytes(), PurePosixPath(name).parent.as_posix())
        else:
            names.append(name)
    if not names:
        kinds = ", ".join(sorted(MIDI_SUFFIXES | NOTATION.keys()))
        raise CorpusError(f"{path}: expected music ({kinds}) in the folder or below it, found none")
    splits = {prefix + name: split for name, split in splits.items()}
    return _Files(_slashed(str(path)), names, prefix, splits)


def _walk(folder: str, inside: str) -> Iterator[str]:
    """Yield the names of all music and tables below a folder, and of folders that can't be read."""
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
    """Return the splits that a table with the columns ``midi_filename`` and ``split`` gives, as MAESTRO's."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8", "replace")))
    if not {"midi_filename", "split"} <= set(rows.fieldnames or ()):
        return {}
    inside = "" if folder in ("", ".") else f"{folder}/"
    return {
        inside + row["midi_filename"]: SPLIT_NAMES[row["split"].lower()]
        for row in rows
        if row["midi_filename"] and (row["split"] or "").lower() in SPLIT_NAMES
    }


def _published(path: Path, resolution: int | None) -> Collection:
    rolls = read_published(path, resolution)

    def pieces() -> Iterator[Source]:
        for name, split, roll in rolls.pieces:
            yield Source(name, f"{path}: {name}", split, roll=roll)

    identity = hashlib.sha256(path.read_bytes()).hexdigest()
    return Collection(rolls.name, (pieces,), len(rolls.pieces), identity, rolls.layout)


def _slashed(folder: str) -> str:
    return "" if folder in ("", ".") else folder.rstrip("/") + "/"


def _stem(path: Path) -> str:
    name = path.name or path.resolve().name
    ending = next((suffix for suffix in ARCHIVES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)] if ending else Path(name).stem
