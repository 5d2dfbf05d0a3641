"""A function mapped over items in worker processes, in order; a crash or a hang costs one item.

The time limit is enforced from outside, since no signal handler interrupts a hung C++ parser. The nearest
library, pebble 5.2, limits the time of whole chunks, takes all items at once, leaves a busy worker behind
when the program is killed, and adds 70 to 120 ms to 300 pieces, where this adds 20 to 30.
"""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import pickle
import selectors
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Generic, NamedTuple, TypeVar

from musicrnn.processes.child import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

if sys.platform == "linux":
    CONTEXT, IMPORT_SECONDS = multiprocessing.get_context("fork"), 0.0
else:
    CONTEXT, IMPORT_SECONDS = multiprocessing.get_context("spawn"), 60.0
"""How workers start, and the additional time for a worker's first item where it imports the program first.

Numpy and the C++ parser survive a fork, which is faster than importing them; Apple's system libraries don't.
"""
AHEAD = 3  # items per worker that may be in progress or wait for their turn to be yielded
TICK = 0.5
"""Seconds between checks of the time limits; if more have passed, the program itself was stopped or busy."""

_starting = threading.Lock()


class Failed(NamedTuple):
    """In place of a result: ``crashed`` or ``time-limit``, and the same as text."""

    reason: str
    detail: str


def run(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, time_limit: float
) -> Generator[tuple[Item, Result | Failed], None, None]:
    """Yield each item with the result of a function, in order.

    Items are read only a few ahead of the one that is yielded. An item whose worker dies is tried once more
    in a new one, since an earlier item may have caused it. What ``function`` raises is raised here. Close the
    generator (``contextlib.closing``) to end the workers before the items are used up.

    Args:
        function: It, the items and the results must pickle.
        items: Its arguments.
        workers: Processes, at least one.
        time_limit: Seconds that one item may take.
    """
    waiting: Iterator[_Task[Item, Result]] = (_Task(item) for item in items)
    tasks: deque[_Task[Item, Result]] = deque()
    supervisor: _Supervisor[Item, Result] = _Supervisor(function, workers, time_limit)
    try:
        while True:
            while len(tasks) < AHEAD * workers and supervisor.has_room() and (task := next(waiting, None)):
                tasks.append(task)
                supervisor.assign(task)
            if not tasks:
                return
            result = tasks[0].result
            supervisor.poll(TICK if result is None else 0.0)  # workers continue while the results are used
            if result is not None:
                yield tasks.popleft().item, result[0]
    finally:
        supervisor.close()


@dataclass(eq=False)
class _Task(Generic[Item, Result]):
    """An item, whether a worker died on it, and its result, in a tuple, once there is one."""

    item: Item
    is_suspect: bool = False
    result: tuple[Result | Failed] | None = None


class _Worker(Generic[Item, Result]):
    """A worker process, the pipe to it, its task, and when the result is due."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self.task: _Task[Item, Result] | None = None
        self.deadline = 0.0
        self.startup = IMPORT_SECONDS
        # One at a time: a worker that another thread starts now would inherit the far end of this pipe, and
        # keep it open when this worker dies.
        with _starting, warnings.catch_warnings():
            # Python 3.12 warns of locks that other threads hold during a fork; workers take none of those.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            self.connection, theirs = CONTEXT.Pipe()
            self.process = CONTEXT.Process(target=_work, args=(function, theirs, os.getpid()), daemon=True)
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the worker ignores it
            try:
                self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                theirs.close()

    def end(self) -> str:
        """Make sure that the process is gone, and return how it ended."""
        self.process.join(TICK)
        self.process.kill()
        self.process.join(10 * TICK)  # a dead network disk can hold a process for longer
        self.connection.close()
        code = self.process.exitcode or 0
        if code == errno.ENOMEM:
            return "ran out of memory"
        return f"died of signal {-code}" if code < 0 else f"exited with status {code}"


class _Supervisor(Generic[Item, Result]):
    """Starts up to ``size`` workers as they are needed, and replaces those that die or exceed the limit."""

    def __init__(self, function: Callable[[Item], Result], size: int, time_limit: float) -> None:
        self.function, self.size, self.time_limit = function, size, time_limit
        self.workers: list[_Worker[Item, Result]] = []
        self.selector = selectors.DefaultSelector()
        self.polled, self.now = time.monotonic(), 0.0  # the clock stands still while the program is stopped

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.end()
        self.selector.close()

    def has_room(self) -> bool:
        return sum(worker.task is not None for worker in self.workers) < self.size

    def assign(self, task: _Task[Item, Result]) -> None:
        """Give a task to an idle worker, or to a new one where a worker has died on it."""
        idle = (worker for worker in self.workers if worker.task is None)
        worker = None if task.is_suspect else next(idle, None)
        if worker is None:
            worker = _Worker(self.function)
            self.workers.append(worker)
            self.selector.register(worker.connection, selectors.EVENT_READ, worker)
        worker.task = task
        worker.deadline = self.now + self.time_limit + worker.startup
        with suppress(ConnectionError):  # it died, which its end of the pipe reports soon enough
            worker.connection.send(task.item)

    def poll(self, seconds: float) -> None:
        """Receive the results that are there, waiting for one at most so long, and check the time limits."""
        deadlines = [worker.deadline - self.now for worker in self.workers if worker.task]
        ready = self.selector.select(max(0.0, min([seconds, *deadlines])))
        polled = time.monotonic()
        self.now += min(polled - self.polled, TICK)
        self.polled = polled
        for key, _ in ready:
            worker = key.data
            try:
                message = worker.connection.recv_bytes()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            result, error, trace = pickle.loads(message)
            if error is not None:
                raise error from RuntimeError(f"in a worker:\n{trace}")
            worker.task.result = (result,)
            worker.task, worker.startup = None, 0.0
        for worker in [worker for worker in self.workers if worker.task and worker.deadline <= self.now]:
            worker.process.kill()
            self._replace(worker, Failed("time-limit", f"took longer than {self.time_limit:g} s"))

    def _replace(self, worker: _Worker[Item, Result], failed: Failed | None = None) -> None:
        """Remove a worker that died; its task fails, or goes to a new worker if this was the first death."""
        self.selector.unregister(worker.connection)
        self.workers.remove(worker)
        death, task = worker.end(), worker.task
        if task is None:
            return
        if failed or task.is_suspect:
            task.result = (failed or Failed("crashed", death),)
        else:
            task.is_suspect = True
            self.assign(task)


def _work(function: Callable[[Item], Result], connection: Connection, parent: int) -> None:
    """Main loop of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(parent)
    if sys.platform == "linux":  # PR_SET_PDEATHSIG, for C code that hangs and holds the GIL
        ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL))
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            connection.send_bytes(_attempt(function, connection.recv()))


def _attempt(function: Callable[[Item], Result], item: Item) -> bytes:
    """Return the result, the exception and its traceback, pickled."""
    try:
        return pickle.dumps((function(item), None, ""), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        os._exit(errno.ENOMEM)
    except Exception as error:
        text = traceback.format_exc()
        with suppress(Exception):
            message = pickle.dumps((None, error, text))
            pickle.loads(message)  # some exceptions pickle and don't unpickle
            return message
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}"), text))
