"""What goes to stdout and what to stderr: results to the one, everything else to the other."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

_Item = TypeVar("_Item")
_SILENT, _QUIET, _NORMAL, _VERBOSE = -2, -1, 0, 1
_level = _NORMAL


def set_level(quiet: bool, verbose: bool) -> None:
    """Choose how much is said on stderr; flags that aren't set change nothing."""
    global _level
    if quiet:
        _level = _QUIET
        logging.getLogger("musicrnn").setLevel(logging.ERROR)
    elif verbose:
        _level = _VERBOSE


def leave_to_others() -> None:
    """Say nothing at all, not even errors: of processes that do one thing together another speaks."""
    global _level
    _level = _SILENT


def reset_level() -> None:
    """Go back to the usual amount of messages."""
    global _level
    _level = _NORMAL
    logging.getLogger("musicrnn").setLevel(logging.NOTSET)


def result(text: str) -> None:
    """Print a result to stdout."""
    sys.stdout.write(text + "\n")


def result_json(document: Any) -> None:
    """Print one JSON document to stdout; what JSON can't say (NaN, infinity) becomes null."""
    import json

    result(json.dumps(_finite(document), indent=1, ensure_ascii=False))


def result_bytes(content: bytes) -> None:
    """Write bytes to stdout."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Say something on stderr, unless ``--quiet``."""
    if _level >= _NORMAL:
        sys.stderr.write(text + "\n")


def detail(text: str) -> None:
    """Say something on stderr with ``--verbose``."""
    if _level >= _VERBOSE:
        sys.stderr.write(text + "\n")


def error(text: object) -> None:
    """Say on stderr, in one line, why the request can't be met."""
    if _level == _SILENT:
        return
    sys.stderr.write("error: " + " ".join(str(text).split()) + "\n")


def shows_progress() -> bool:
    """Whether progress bars have a terminal to be drawn on."""
    return _level >= _NORMAL and sys.stderr.isatty()


@contextmanager
def progress_bar(*columns: str) -> Iterator[Progress]:
    """Yield a rich progress bar on stderr that vanishes when it is done.

    Args:
        columns: Formats of text columns, before the bar's own share and times.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    shape = [
        *(TextColumn(column) for column in columns),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*shape, console=Console(stderr=True), transient=True) as progress:
        yield progress


def track_pieces(items: Iterable[_Item], total: int | None, done: int) -> Iterator[_Item]:
    """Yield pieces as they are prepared, with a bar where there is a terminal; say where work goes on."""
    if done:
        note(f"going on after {done:,} pieces that an interrupted run has done")
    if not shows_progress():
        yield from items
        return
    of_all = "?" if total is None else f"{total:,}"
    with progress_bar("preparing", "{task.completed:,}/" + of_all) as progress:
        yield from progress.track(items, total, completed=done, description="")


def _finite(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _finite(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_finite(value) for value in document]
    return None if isinstance(document, float) and not math.isfinite(document) else document
