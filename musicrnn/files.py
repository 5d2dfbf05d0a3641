"""Files written whole or not at all (temporary name, fsync, rename), and JSON documents with a version."""

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
    with written(path):
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


def replace_directory(new: Path, path: Path) -> None:
    """Rename a finished folder of files to ``path``, beside it; what was there before is removed.

    Raises:
        FileError: The folder can't be written.
    """
    with written(path):
        for file in new.iterdir():
            with file.open("rb") as content:
                os.fsync(content.fileno())
        old = new.with_name(f"{new.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def exclusive(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Lock ``path`` against other processes while the block runs; the lock also ends with the process.

    Args:
        path: The folder or file. A hidden lock file exists beside it in the meantime.
        patience: Seconds to wait for another process that has locked it.

    Raises:
        FileError: Another process has locked it, or the lock file can't be written.
    """
    from filelock import FileLock, Timeout

    lock_path = path.with_name(f".{path.name}.lock")
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            if not lock_path.exists():
                raise FileError(f"{path.parent}: can't write: no file can be made there") from None
            raise FileError(f"{path}: another process is using it") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock_path.unlink()  # before the release, so that no process waits for a file without a name
        lock.release()


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


def read_document(
    path: Path, format: str, version: int, error: type[MusicRNNError], content: bytes | None = None
) -> dict[str, Any]:
    """Read a JSON document that names its format and version.

    Args:
        path: The file.
        format: The value that its ``format`` must have.
        version: The value that its ``version`` must have.
        error: What to raise.
        content: The content, where it has been read already.

    Raises:
        FileError: The file can't be read.
        MusicRNNError: Of class ``error``: it is damaged, of another format or of another version.
    """
    try:
        document = json.loads(read_bytes(path) if content is None else content)
    except ValueError as damage:
        raise error(f"{path}: expected JSON, found damage: {damage}") from damage
    if not isinstance(document, dict) or document.get("format") != format:
        raise error(f"{path}: expected a document of format {format}, found other JSON")
    found = document.get("version")
    if found != version:
        newer = isinstance(found, int) and found > version
        hint = "a newer musicrnn wrote it" if newer else "an older musicrnn wrote it; make it again"
        raise error(f"{path}: expected {format} version {version}, found {found}: {hint}")
    return document


def read_bytes(path: Path) -> bytes:
    """Return the content of ``path``.

    Raises:
        FileError: The file is missing, is a folder, or can't be read.
    """
    with _reported(path, "read"):
        return path.read_bytes()


def written(path: Path) -> contextlib.AbstractContextManager[None]:
    """Turn an OSError while writing into a FileError that names the file, else ``path``."""
    return _reported(path, "write")


@contextlib.contextmanager
def _reported(path: Path, verb: str) -> Iterator[None]:
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
