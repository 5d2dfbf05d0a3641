"""Local copies of the published data sets: from the cache, from a folder, or downloaded; checked before use.

A download grows as ``NAME.part`` in the cache and is called ``NAME`` only once its bytes are those that were
published. A broken connection, an interrupt and a killed process leave the part, and the next attempt or the
next command goes on from there where the server can.
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

Progress = Callable[[int, int | None], None]

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds that a server may keep silent
PAUSE = 0.5  # seconds before the second attempt; doubles with each one after it
CHUNK = 2**14  # bytes; what arrived of a chunk is lost when the server stalls within it
LIMIT = 4 * 2**30  # bytes to take at most where the registry doesn't know the size


class _UnfinishedError(Exception):
    """An attempt failed, and another one may not."""


def cache_directory() -> Path:
    """Return where fetched data sets are kept: ``MUSICRNN_CACHE``, else the user's cache folder."""
    import pooch

    return Path(os.environ.get("MUSICRNN_CACHE") or pooch.os_cache("musicrnn")).expanduser()


def fetch(dataset: Dataset, offline: Path | None = None, progress: Progress | None = None) -> Path:
    """Return a local copy of a data set whose bytes are those that were published.

    Several processes may ask for the same data set: one downloads it, the others wait.

    Args:
        dataset: The data set.
        offline: A folder that holds a copy; the network and the cache are left alone then.
        progress: Is told the bytes on disk so far, and how many there will be or None.

    Returns:
        The copy in ``offline``, else the one in the cache, downloaded unless it was there.

    Raises:
        CorpusError: There is no copy in ``offline``, the download failed, or a copy isn't what was
            published.
        FileError: The copy can't be read, or the cache can't be written.
    """
    path = (cache_directory() if offline is None else offline) / dataset.file
    try:
        if offline is not None:
            return _copy_on_disk(offline, dataset)
        if not _is_published(path, dataset):
            _retrieve(dataset, path, progress)
    except OSError as error:
        raise FileError(f"{error.filename or path}: {error.strerror or error}") from error
    return path


def _copy_on_disk(directory: Path, dataset: Dataset) -> Path:
    names = list(dict.fromkeys([dataset.file, dataset.published_file]))
    wanted = " or ".join(names)
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing there"
        raise CorpusError(f"{directory}: expected a folder that holds {wanted}, found {found}")
    path = next((directory / name for name in names if (directory / name).is_file()), None)
    if path is None:
        raise CorpusError(f"{directory}: expected {wanted} in the folder, found no such file")
    if fault := _fault(path, dataset):
        raise CorpusError(f"{path}: {fault}")
    return path


def _retrieve(dataset: Dataset, path: Path, progress: Progress | None) -> None:
    """Put a checked download under ``path``, unless another process does so while this one waits."""
    import pooch
    from filelock import FileLock

    pooch.get_logger().setLevel("WARNING")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")

    def download(_address: str, output: str, _pooch: object) -> None:
        _download(dataset, part, progress)
        part.replace(output)

    with FileLock(path.with_name(path.name + ".lock")):
        if _is_published(path, dataset):
            return
        path.unlink(missing_ok=True)
        known_hash = dataset.sha256 and f"sha256:{dataset.sha256}"
        pooch.retrieve(dataset.address, known_hash, dataset.file, path.parent, downloader=download)


def _download(dataset: Dataset, part: Path, progress: Progress | None) -> None:
    """Complete ``part`` and check it.

    Raises:
        CorpusError: The server refuses or keeps failing, or what it sends isn't what was published.
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
        reason = fault  # perhaps only what an earlier attempt left was wrong
    raise _unreachable(dataset, reason)


def _receive(dataset: Dataset, part: Path, progress: Progress | None) -> None:
    """Add to ``part`` what one request brings.

    Raises:
        _UnfinishedError: The server can't be reached, is silent for too long or cuts off.
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
                    # one byte more than there should be tells whether the server knows an end
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
    """Return where in the file the body begins, and the length that the server gives for the whole.

    Raises:
        _UnfinishedError: The server is busy or failing, or can't go on after ``size`` bytes.
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


def _is_published(path: Path, dataset: Dataset) -> bool:
    return path.is_file() and _fault(path, dataset) is None


def _fault(path: Path, dataset: Dataset) -> str | None:
    """Say in what the file differs from the published one: what was expected and what was found."""
    import pooch

    size = path.stat().st_size
    if dataset.bytes is not None and size != dataset.bytes:
        return f"expected {dataset.bytes:,} bytes, found {size:,}"
    if dataset.sha256 is not None:
        found = pooch.file_hash(str(path), alg="sha256")
        return None if found == dataset.sha256 else f"expected sha256 {dataset.sha256}, found {found}"
    if dataset.commit is not None and dataset.file.endswith(".zip"):
        return _zip_fault(path, dataset.commit)
    if dataset.file.endswith(".json"):
        try:
            json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            return f"expected JSON, found damage: {error}"
    return None


def _zip_fault(path: Path, commit: str) -> str | None:
    """Check every member's checksum, and the commit that GitHub writes into an archive's comment."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            comment = archive.comment.decode("ascii", "replace")
    except Exception as error:  # a damaged archive makes zipfile and zlib raise almost anything
        return f"expected a zip archive, found damage: {error}"
    if damaged is not None:
        return f"expected a zip archive, found damage in {damaged}"
    if comment != commit:
        return f"expected a zip archive of commit {commit}, found {comment or 'none'} in its comment"
    return None
