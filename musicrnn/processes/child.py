"""A function of this package in a Python process of its own, which ends when its parent does.

The process is started, not forked: this needs no guard in the calling program and works from notebooks. It
has its own session, so Ctrl-C in the terminal reaches the parent alone, which decides what to send on. When
the parent is gone, however it ended, the child gets SIGTERM.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE = 20.0
"""Seconds that a process has to save its work between being asked to end and being killed."""

_PARENT = "MUSICRNN_PARENT"  # environment variable with the process id of the parent
_POLL = 0.05  # seconds between checks of other processes


def start(
    function: str, arguments: Sequence[str] = (), variables: Mapping[str, str] | None = None, **pipes: Any
) -> subprocess.Popen[bytes]:
    """Start a process that calls a function and ends with it.

    Args:
        function: What to call, without arguments, as ``module:name``.
        arguments: Command line that the function finds in ``sys.argv[1:]``.
        variables: Environment variables besides those of this process.
        pipes: ``stdin``, ``stdout`` and ``stderr`` of ``subprocess.Popen``.
    """
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **(variables or {})}
    environment[_PARENT] = str(os.getpid())
    command = [sys.executable, "-c", "from musicrnn.processes.child import main; main()", function]
    return subprocess.Popen([*command, *arguments], env=environment, start_new_session=True, **pipes)


def end(process: subprocess.Popen[bytes], grace: float = GRACE) -> int:
    """Wait for a process that was asked to end, kill it after ``grace`` seconds, and return its status."""
    try:
        return process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def wait_for_all(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for processes that work together, forwarding SIGINT and SIGTERM to them; return an exit code.

    When one of them fails, the others are killed after ``GRACE`` seconds.
    """
    deadline = None

    def forward(number: int, frame: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    with handled_signals(forward):
        while running := [process for process in processes if process.poll() is None]:
            if deadline is None and any(process.returncode for process in processes):
                deadline = time.monotonic() + GRACE
            if deadline is not None and time.monotonic() > deadline:
                for process in running:
                    process.kill()
            time.sleep(_POLL)
    return next((max(1, process.returncode) for process in processes if process.returncode), 0)


def end_with_parent(parent: int) -> None:
    """Send this process SIGTERM when its parent is gone; it exits at the latest ``GRACE`` seconds later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Call the function that the command line names: what ``start`` runs in the child."""
    end_with_parent(int(os.environ[_PARENT]))
    module, _, name = sys.argv[1].partition(":")
    sys.argv[:] = ["musicrnn", *sys.argv[2:]]
    getattr(importlib.import_module(module), name)()


@contextmanager
def handled_signals(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM call ``handler`` while the block runs, in the main thread."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
