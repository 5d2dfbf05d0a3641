"""The members of .zip and .tar archives, one after the other, within bounds of size."""

from __future__ import annotations

import fnmatch
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from musicrnn.music.midi import MAX_FILE_BYTES

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_EXPANSION = 200
"""Times its own size that an archive may expand to; MIDI files shrink to a third, or a thirtieth at best."""
FREE_EXPANSION = 2**28  # bytes that any archive may expand to, however small it is

MAX_HEADER_BYTES = 2**20  # longest header of a member of a .tar, names included

_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, tarfile.TarError, RuntimeError)
"""What zipfile and tarfile raise at damage; RuntimeError asks for a password."""


class Member(NamedTuple):
    """A file in an archive: its bytes, or why they can't be read, as text and as a short code."""

    name: str
    content: bytes | None = None
    refusal: tuple[str, str] | None = None


class _Exhausted(Exception):  # noqa: N818 (it ends the reading of an archive, and is reported as a member)
    """The archive expands to more than is allowed."""


class _Header(tarfile.TarInfo):
    """Header of a member of a .tar; unlike tarfile's it is bounded, and damage is an error, not the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the end
            raise tarfile.ReadError(f"{error} instead of a member or the end") from error
        if header.type in _LONG_HEADERS and header.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        return header


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive by its name."""
    return path.name.lower().endswith(SUFFIXES) and not path.is_dir()


def read_members(path: Path, takes: Callable[[str], bool], pattern: str | None = None) -> Iterator[Member]:
    """Yield the members that are wanted, and tables (.csv), in a .zip before all others.

    Args:
        path: The archive.
        takes: Whether a member of this name is wanted.
        pattern: A glob that names must match too; its ``*`` stays within a folder.

    Yields:
        Members of a .zip sorted by name, those of a .tar in their order. A member that can't be read has a
        refusal; damage of the archive itself is a member with the archive's name.
    """

    def wanted(name: str) -> bool:
        return _is_table(name) or (takes(name) and (pattern is None or _matches(name, pattern)))

    budget = max(FREE_EXPANSION, MAX_EXPANSION * path.stat().st_size)
    reading = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    try:
        yield from reading(path, wanted, budget)
    except _Exhausted:
        detail = f"{path}: expected an archive that expands to at most {budget} bytes, found more"
        yield Member(path.name, refusal=(detail, "expansion"))
    except _DAMAGE as error:
        detail = f"{path}: expected a readable archive, found damage: {error or type(error).__name__}"
        yield Member(path.name, refusal=(detail, "damaged-archive"))


def _is_table(name: str) -> bool:
    return name.lower().endswith(".csv")


def _matches(name: str, pattern: str) -> bool:
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _zip_members(path: Path, wanted: Callable[[str], bool], budget: int) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if wanted(entry.filename) and not entry.is_dir()]
        entries.sort(key=lambda entry: (not _is_table(entry.filename), entry.filename.split("/")))
        for entry in entries:
            where = f"{path}:{entry.filename}"
            if entry.file_size > MAX_FILE_BYTES:
                yield _too_large(entry.filename, where, entry.file_size)
                continue
            budget -= entry.file_size
            if budget < 0:
                raise _Exhausted
            try:
                with archive.open(entry) as file:
                    content = file.read(MAX_FILE_BYTES + 1)
            except Exception as error:  # each compression method has errors of its own
                reason = "encrypted" if entry.flag_bits & 1 else "damaged-archive"
                detail = f"{where}: expected a readable member, found: {error}"
                yield Member(entry.filename, refusal=(detail, reason))
                continue
            yield Member(entry.filename, content)


def _tar_members(path: Path, wanted: Callable[[str], bool], budget: int) -> Iterator[Member]:
    with tarfile.open(path, "r|*", tarinfo=_Header) as archive:
        for entry in archive:
            if entry.offset_data + entry.size > budget:
                raise _Exhausted
            archive.members = []  # type: ignore[attr-defined]  # else it remembers every member
            if not entry.isfile() or not wanted(entry.name):
                continue
            if entry.size > MAX_FILE_BYTES:
                yield _too_large(entry.name, f"{path}:{entry.name}", entry.size)
                continue
            file = archive.extractfile(entry)
            yield Member(entry.name, file.read() if file else b"")


def _too_large(name: str, where: str, size: int) -> Member:
    detail = f"{where}: expected at most {MAX_FILE_BYTES} bytes, found {size}"
    return Member(name, refusal=(detail, "too-large"))
