"""Files that are written whole or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from musicrnn.errors import FileError, MusicRNNError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open ``path`` for writing bytes so that it appears under its name complete, or not at all.

    Args:
        path: Where the file goes. Missing parent folders are made.

    Yields:
        A binary file object.

    Raises:
        FileError: The folder can't be written, the disk is full, or ``path`` is a folder.
    """
    with _reported(path, "write"):
        if path.is_dir():
            raise FileError(f"{path}: expected a file to write, found a folder")
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to rename onto
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Fill a temporary folder that takes the name ``path`` once the block ends without an error.

    What was at ``path`` before is replaced, so the caller checks first that it may be.

    Args:
        path: Where the folder goes. Missing parents are made.

    Yields:
        The temporary folder, beside ``path``.

    Raises:
        FileError: The folder can't be written.
    """
    with _reported(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            old = temporary.with_suffix(".old")
            if path.exists():
                path.rename(old)
            try:
                temporary.rename(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all.

    Raises:
        FileError: The file can't be written.
    """
    with whole_file(path) as file:
        file.write(content)


def write_json(path: Path, document: Any) -> None:
    """Write ``document`` as indented JSON in UTF-8, whole or not at all.

    Raises:
        FileError: The file can't be written.
    """
    write_bytes(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def read_document(path: Path, format: str, version: int, error: type[MusicRNNError]) -> dict[str, Any]:
    """Read a JSON document that says its format and version.

    Args:
        path: The file.
        format: The value that its ``format`` must have.
        version: The value that its ``version`` must have.
        error: What to raise.

    Raises:
        FileError: The file can't be read.
        MusicRNNError: Of class ``error``: it is damaged, of another format or of another version.
    """
    try:
        document = json.loads(read_bytes(path))
    except ValueError as damage:
        raise error(f"{path}: expected JSON, found damage: {damage}") from damage
    if not isinstance(document, dict) or document.get("format") != format:
        raise error(f"{path}: expected a document of format {format}, found other JSON")
    if document.get("version") != version:
        raise error(f"{path}: expected {format} version {version}, found {document.get('version')}")
    return document


def read_bytes(path: Path) -> bytes:
    """Return the content of ``path``.

    Raises:
        FileError: The file is missing, is a folder, or can't be read.
    """
    with _reported(path, "read"):
        return path.read_bytes()


@contextlib.contextmanager
def _reported(path: Path, verb: str) -> Iterator[None]:
    """Turn the system's refusals into a FileError that names the path."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or path
        raise FileError(f"{where}: can't {verb}: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
