"""Local copies of the published data sets: from the cache, from a folder, or downloaded; checked before use.

A download is ``NAME.part`` in the cache until it is complete and checked. A broken connection, an interrupt
or a killed process leave that part, and the next attempt resumes it if the server can.
"""

from __future__ import annotations

import json
import os
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from musicrnn.errors import CorpusError, FileError

if TYPE_CHECKING:
    from requests import Response

    from musicrnn.corpus.registry import Dataset

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds that a server may be silent
PAUSE = 0.5  # seconds before the second attempt; doubles with each further one
CHUNK = 2**14  # bytes; when the server stalls within a chunk, it is lost
LIMIT = 4 * 2**30  # most bytes to accept where the registry doesn't know the size

_Progress = Callable[[int, int | None], None] | None


class _UnfinishedError(Exception):
    """An attempt failed, and another one may succeed."""


def cache_directory() -> Path:
    """Return where fetched data sets are kept: ``MUSICRNN_CACHE``, else the user's cache folder."""
    import pooch

    return Path(os.environ.get("MUSICRNN_CACHE") or pooch.os_cache("musicrnn")).expanduser()


def fetch(dataset: Dataset, offline: Path | None = None, progress: _Progress = None) -> Path:
    """Return a local copy of a data set with the published bytes.

    Where several processes ask for the same data set, one downloads it and the others wait.

    Args:
        dataset: The data set.
        offline: A folder that holds a copy; neither network nor cache are used then.
        progress: Is called with the bytes on disk so far, and with how many there will be or None.

    Returns:
        The copy in ``offline``, else the one in the cache, downloaded if need be.

    Raises:
        CorpusError: There is no copy in ``offline``, the download failed, or a copy has other bytes.
        FileError: The copy can't be read, or the cache can't be written.
    """
    path = (cache_directory() if offline is None else offline) / dataset.file
    try:
        if offline is not None:
            return _copy_on_disk(offline, dataset)
        if not path.is_file() or _fault(path, dataset):
            _update_cache(dataset, path, progress)
    except OSError as error:
        raise FileError(f"{error.filename or path}: {error.strerror or error}") from error
    return path


def _copy_on_disk(directory: Path, dataset: Dataset) -> Path:
    names = list(dict.fromkeys([dataset.file, dataset.published_file]))
    for path in (directory / name for name in names):
        if path.is_file():
            if fault := _fault(path, dataset):
                raise CorpusError(f"{path}: {fault}")
            return path
    wanted = " or ".join(names)
    if directory.is_dir():
        raise CorpusError(f"{directory}: expected {wanted} in the folder, found no such file")
    found = "a file" if directory.exists() else "nothing there"
    raise CorpusError(f"{directory}: expected a folder that holds {wanted}, found {found}")


def _update_cache(dataset: Dataset, path: Path, progress: _Progress) -> None:
    """Download to ``path``, unless another process does so while this one waits."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if path.is_file() and not _fault(path, dataset):
            return
        path.unlink(missing_ok=True)
        part = path.with_name(path.name + ".part")
        _download(dataset, part, progress)
        part.replace(path)


def _download(dataset: Dataset, part: Path, progress: _Progress) -> None:
    """Complete ``part`` and check it.

    Raises:
        CorpusError: The server refuses or keeps failing, or sends other bytes.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        resumed = _size(part) > 0
        try:
            _receive(dataset, part, progress)
        except _UnfinishedError as error:
            reason = str(error)
            continue
        fault = _fault(part, dataset)
        if fault is None:
            return
        part.unlink()
        if not resumed:
            raise CorpusError(f"{dataset.address}: {fault}")
        reason = fault  # perhaps only the part from an earlier attempt was wrong
    raise _unreachable(dataset, reason)


def _receive(dataset: Dataset, part: Path, progress: _Progress) -> None:
    """Append the response to one request to ``part``.

    Raises:
        _UnfinishedError: The server can't be reached, is silent for too long or breaks off.
        CorpusError: The server refuses, or sends more than was published.
    """
    import requests
    from urllib3.exceptions import HTTPError

    size = _size(part)
    if dataset.bytes is not None and size >= dataset.bytes:
        return
    limit = LIMIT if dataset.bytes is None else dataset.bytes
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
    total = dataset.bytes
    try:
        with requests.get(dataset.address, headers=headers, stream=True, timeout=TIMEOUT) as response:
            size, announced = _position(response, size, dataset, part)
            total = announced if total is None else total
            with part.open("ab") as file:
                file.truncate(size)
                while True:
                    if progress:
                        progress(min(size, limit), total)
                    # one byte more than expected shows whether the server ends there
                    chunk = response.raw.read(min(CHUNK, limit - size) or 1, decode_content=False)
                    size += len(chunk)
                    if not chunk or size > limit:
                        break
                    file.write(chunk)
    except (requests.RequestException, HTTPError) as error:
        if size != dataset.bytes:
            raise _UnfinishedError(_reason(error, size)) from error
    if size > limit:
        part.unlink()
        most = "at most " if dataset.bytes is None else ""
        raise CorpusError(f"{dataset.address}: expected {most}{limit:,} bytes, found more")
    if total is not None and size < total:
        raise _UnfinishedError(f"cut off after {size:,} of {total:,} bytes")


def _position(response: Response, size: int, dataset: Dataset, part: Path) -> tuple[int, int | None]:
    """Return where in the file the response begins, and the length of the file according to the server.

    Raises:
        _UnfinishedError: The server is busy or failing, or can't resume after ``size`` bytes.
        CorpusError: The server refuses.
    """
    status = response.status_code
    if status == 200:
        length = re.fullmatch(r"\d{1,18}", response.headers.get("Content-Length", ""))
        return 0, int(length[0]) if length else None
    if status in (206, 416):
        found = re.fullmatch(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
        total = int(found[2]) if found and found[2] != "*" else dataset.bytes
        if status == 206 and found and int(found[1]) == size and dataset.bytes in (None, total):
            return size, total
        part.unlink(missing_ok=True)
        raise _UnfinishedError("the server can't resume")
    if status in (408, 429) or status >= 500:
        raise _UnfinishedError(f"the server answers {status}")
    raise _unreachable(dataset, f"the server answers {status}")


def _reason(error: Exception, size: int) -> str:
    import requests
    from urllib3.exceptions import ReadTimeoutError

    after = f" after {size:,} bytes" if size else ""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return f"no answer within {TIMEOUT:g} s{after}"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"cut off{after}"


def _unreachable(dataset: Dataset, reason: str) -> CorpusError:
    hint = f"--from DIR takes a copy of {dataset.file} on disk"
    return CorpusError(f"{dataset.address}: can't be fetched ({reason}); {hint}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fault(path: Path, dataset: Dataset) -> str | None:
    """Return a text on how the file differs from the published one, or None."""
    import pooch

    size = path.stat().st_size
    if dataset.bytes is not None and size != dataset.bytes:
        return f"expected {dataset.bytes:,} bytes, found {size:,}"
    if dataset.sha256 is not None:
        found = pooch.file_hash(str(path), alg="sha256")
        return None if found == dataset.sha256 else f"expected sha256 {dataset.sha256}, found {found}"
    if dataset.file.endswith(".json"):
        try:
            json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            return f"expected JSON, found damage: {error}"
    if dataset.commit is None or not dataset.file.endswith(".zip"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            comment = archive.comment.decode("ascii", "replace")  # GitHub writes the commit into it
    except Exception as error:  # a damaged archive makes zipfile and zlib raise almost anything
        return f"expected a zip archive, found damage: {error}"
    if damaged is not None:
        return f"expected a zip archive, found damage in {damaged}"
    if comment != dataset.commit:
        return f"expected a zip archive of commit {dataset.commit}, found {comment or 'none'} in its comment"
    return None
