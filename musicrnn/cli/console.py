"""Output: results to stdout, messages, errors and progress bars to stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_SILENT, _QUIET, _NORMAL, _VERBOSE = -2, -1, 0, 1
_level = _NORMAL
_as_json = False


def configure(quiet: bool, verbose: bool, json: bool = False) -> None:
    """Choose what is printed to stderr, and the form of results; flags that aren't set change nothing."""
    global _level, _as_json
    if quiet:
        _level = _QUIET
        logging.getLogger("musicrnn").setLevel(logging.ERROR)
    elif verbose:
        _level = _VERBOSE
    _as_json = json


def silence() -> None:
    """Print nothing at all, not even errors, because another process of the same training prints them."""
    global _level
    _level = _SILENT


def reset() -> None:
    """Restore the defaults: messages, but no details, and results as text."""
    global _level, _as_json
    _level, _as_json = _NORMAL, False
    logging.getLogger("musicrnn").setLevel(logging.NOTSET)


def wants_json() -> bool:
    """Whether results are to be JSON."""
    return _as_json


def is_verbose() -> bool:
    """Whether details are printed to stderr."""
    return _level >= _VERBOSE


def report(document: Any, lines: Iterable[str]) -> None:
    """Print a command's result to stdout.

    Args:
        document: The result as JSON values, printed with ``--json``; NaN and infinity become null.
        lines: The result as text, printed without it.
    """
    if _as_json:
        finite = json.loads(json.dumps(document), parse_constant=lambda _: None)
        lines = [json.dumps(finite, indent=1, ensure_ascii=False)]
    for line in lines:
        result(line)


def result(text: str) -> None:
    """Print a result to stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print a message to stderr, unless ``--quiet``."""
    if _level >= _NORMAL:
        sys.stderr.write(text + "\n")


def detail(text: str) -> None:
    """Print a message to stderr with ``--verbose``."""
    if is_verbose():
        note(text)


def error(text: object) -> None:
    """Print to stderr, in one line, why the request can't be met."""
    if _level > _SILENT:
        sys.stderr.write("error: " + " ".join(str(text).split()) + "\n")


def shows_progress() -> bool:
    """Whether progress bars are shown: on a terminal only."""
    return _level >= _NORMAL and sys.stderr.isatty()


@contextmanager
def progress(
    label: str, total: int | None, unit: str, done: int = 0, show: Callable[[int], str] = "{:,}".format
) -> Iterator[Callable[..., None]]:
    """Yield a function that moves a progress bar on stderr; without a terminal it does nothing.

    Args:
        label: Text before the bar.
        total: The count at the end, or None if it isn't known.
        unit: What is counted; empty hides the count.
        done: The count at the start.
        show: Formats a count.

    Yields:
        Takes the count so far and, where they have changed, ``total`` and ``label``.
    """
    if not shows_progress():
        yield lambda *_, **__: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    texts = (TextColumn("{task.description}"), TextColumn("{task.fields[amount]}"))
    columns = (*texts, BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, amount="")

        def advance(done: int, total: int | None = total, label: str | None = None) -> None:
            amount = f"{show(done)}/{'?' if total is None else show(total)} {unit}" if unit else ""
            bar.update(task, completed=done, total=total, description=label, amount=amount)

        advance(done)
        yield advance


def track(items: Iterable[_Item], total: int | None, label: str, unit: str, done: int = 0) -> Iterator[_Item]:
    """Yield items; on a terminal a progress bar counts them, as ``progress`` does."""
    with progress(label, total, unit, done) as advance:
        for number, item in enumerate(items, done + 1):
            yield item
            advance(number)
