"""Ctrl-C and SIGTERM during a training: the step is finished and saved before the program ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from musicrnn.processes.child import handled_signals


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether an interruption was requested.

    The first signal is recorded, so that the training can end where it can be resumed; the second raises
    KeyboardInterrupt at once. Signals can only be caught in the main thread.
    """
    requested = False

    def handle(number: int, frame: object) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    with handled_signals(handle):
        yield lambda: requested
