"""A function over a stream of items in other processes: in order, and a crash or a hang costs one item.

The time limit is kept from outside, since no signal handler interrupts a hung C++ parser. Why no library does
this: the nearest, pebble 5.2, limits the time of whole chunks, takes all items at once, leaves a busy worker
behind when the program is killed, and adds 70 to 120 ms to 300 pieces, where this adds 20 to 30.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
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
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from typing import Generic, NamedTuple, TypeVar

from musicrnn.errors import MusicRNNError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

if sys.platform == "linux":
    CONTEXT, IMPORT_SECONDS = multiprocessing.get_context("fork"), 0.0
else:
    CONTEXT, IMPORT_SECONDS = multiprocessing.get_context("spawn"), 60.0
"""How workers start, and how much longer a worker's first item may take where it imports the program first.

Numpy and the C++ parser survive a fork, and to import them takes longer than a small folder does. Apple's
system libraries don't survive one.
"""

AHEAD = 3
"""Chunks per worker that may be under way or wait for their turn to be yielded."""

TICK = 0.5
"""Seconds between looks at the clock; if more have passed, the whole program was stopped or elsewhere."""

CLUSTER_CHUNK = 4
"""How many times larger chunks are on a cluster, where each starts a process of its own."""

CONNECT_SECONDS = 10

_starting = threading.Lock()


class Lost(NamedTuple):
    """What stands in for the result of an item that has none.

    Attributes:
        reason: ``crashed`` or ``time-limit``.
        detail: That in words.
    """

    reason: str
    detail: str


def run(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    time_limit: float,
    chunk: int = 16,
    scheduler: str | None = None,
) -> Generator[tuple[Item, Result | Lost], None, None]:
    """Yield every item with what a function makes of it, in order.

    Items are taken a few chunks ahead of what is asked for. One whose process dies is tried once more, alone
    in a new process, lest it be blamed for what an earlier one broke. Close the generator
    (``contextlib.closing``) to end the workers before the items do.

    Args:
        function: What to do; it, the items and the results must pickle.
        items: What to do it to.
        workers: Processes on this machine, at least one; a cluster has its own.
        time_limit: Seconds that one item may take.
        chunk: Items that travel together.
        scheduler: Address of a dask scheduler, such as ``tcp://host:8786``, whose cluster does the work.

    Raises:
        MusicRNNError: No scheduler answers at that address, or no longer does.
        UsageError: There is an address and no dask.distributed to talk to it.
        Exception: Whatever ``function`` raises.
    """
    if scheduler is not None:
        return _run_on_cluster(function, items, time_limit, chunk * CLUSTER_CHUNK, scheduler)
    return _run_here(function, items, workers, time_limit, chunk)


class _Raised(NamedTuple):
    """An exception, on its way from a worker."""

    error: Exception
    traceback: str


@dataclass
class _Chunk(Generic[Item, Result]):
    """Items, and the results of the first of them; the next one is suspect if a worker died on it."""

    items: list[Item]
    results: list[Result | Lost] = field(default_factory=list)
    suspect: bool = False

    def add(self, result: Result | Lost) -> None:
        self.results.append(result)
        self.suspect = False

    def to_do(self) -> list[Item]:
        done = len(self.results)
        return self.items[done : done + 1 if self.suspect else None]


class _Worker(Generic[Item, Result]):
    """A process, the pipe to it, the chunk it works on, and when its next result has to be there."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self.chunk: _Chunk[Item, Result] | None = None
        self.due = 0
        self.deadline = 0.0
        self.grace = IMPORT_SECONDS
        # One at a time: a worker that another thread starts now would inherit the far end of this pipe, and
        # keep it open when this worker dies.
        with _starting, warnings.catch_warnings():
            # Python 3.12 warns of locks that other threads hold during a fork; workers take none of those.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            self.connection, theirs = CONTEXT.Pipe()
            self.process = CONTEXT.Process(target=_work, args=(function, theirs), daemon=True)
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the worker ignores it
            try:
                self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                theirs.close()

    def end(self) -> str:
        """Make sure that the process is gone, and return how it went."""
        self.process.join(TICK)
        self.process.kill()
        self.process.join(10 * TICK)  # a dead network disk can hold a process for longer
        self.connection.close()
        code = self.process.exitcode or 0
        if code == errno.ENOMEM:
            return "ran out of memory"
        return f"died of signal {-code}" if code < 0 else f"exited with status {code}"


class _Pool(Generic[Item, Result]):
    """Up to ``size`` workers, started as they are needed."""

    def __init__(self, function: Callable[[Item], Result], size: int, time_limit: float) -> None:
        self.function, self.size, self.time_limit = function, size, time_limit
        self.workers: list[_Worker[Item, Result]] = []
        self.selector = selectors.DefaultSelector()
        self.looked, self.now = time.monotonic(), 0.0

    def close(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.end()
        self.selector.close()

    def has_room(self) -> bool:
        return len(self.workers) < self.size or any(worker.chunk is None for worker in self.workers)

    def give(self, chunk: _Chunk[Item, Result], worker: _Worker[Item, Result] | None = None) -> None:
        """Have this worker, or else a new one, do what a chunk lacks."""
        if worker is None:
            worker = _Worker(self.function)
            self.workers.append(worker)
            self.selector.register(worker.connection, selectors.EVENT_READ, worker)
        items = chunk.to_do()
        worker.chunk = chunk
        worker.due = len(items)
        worker.deadline = self.now + self.time_limit + worker.grace
        with suppress(ConnectionError):  # it died; its end of the pipe tells so soon enough
            worker.connection.send(items)

    def look(self, seconds: float) -> None:
        """Take in the results that are there, waiting for one, and see to workers that died or hang."""
        deadlines = [worker.deadline - self.now for worker in self.workers if worker.chunk]
        ready = self.selector.select(max(0.0, min([seconds, *deadlines])))
        looked = time.monotonic()
        self.now += min(looked - self.looked, TICK)
        self.looked = looked
        for key, _ in ready:
            self._receive(key.data)
        for worker in [worker for worker in self.workers if worker.chunk and worker.deadline <= self.now]:
            worker.process.kill()
            self._replace(worker, Lost("time-limit", f"took longer than {self.time_limit:g} s"))

    def _receive(self, worker: _Worker[Item, Result]) -> None:
        try:
            message = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._replace(worker)
            return
        result = pickle.loads(message)
        if isinstance(result, _Raised):
            raise result.error from RuntimeError(f"in a worker:\n{result.traceback}")
        chunk = worker.chunk
        assert chunk is not None
        chunk.add(result)
        worker.due, worker.grace = worker.due - 1, 0.0
        worker.deadline = self.now + self.time_limit
        if not worker.due:
            worker.chunk = None
            if chunk.to_do():
                self.give(chunk, worker)

    def _replace(self, worker: _Worker[Item, Result], lost: Lost | None = None) -> None:
        """Have a new worker go on with a chunk, from the item that the old one died on or after it."""
        self.selector.unregister(worker.connection)
        self.workers.remove(worker)
        death, chunk = worker.end(), worker.chunk
        if chunk is None:
            return
        if lost or chunk.suspect:
            chunk.add(lost or Lost("crashed", death))
        else:
            chunk.suspect = True
        if chunk.to_do():
            self.give(chunk)


def _run_here(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, time_limit: float, size: int
) -> Generator[tuple[Item, Result | Lost], None, None]:
    batches = _batches(items, size)
    chunks: deque[_Chunk[Item, Result]] = deque()
    pool: _Pool[Item, Result] = _Pool(function, workers, time_limit)
    yielded = 0
    try:
        while True:
            while len(chunks) < AHEAD * workers and pool.has_room() and (batch := next(batches, None)):
                chunks.append(_Chunk(batch))
                pool.give(chunks[-1], next((worker for worker in pool.workers if worker.chunk is None), None))
            if not chunks:
                return
            first = chunks[0]
            if yielded == len(first.results):
                pool.look(TICK)
                continue
            pool.look(0.0)  # so that workers go on while the results are used
            yield first.items[yielded], first.results[yielded]
            yielded += 1
            if yielded == len(first.items):
                chunks.popleft()
                yielded = 0
    finally:
        pool.close()


def _work(function: Callable[[Item], Result], connection: Connection) -> None:
    """Be a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform == "linux":  # PR_SET_PDEATHSIG, for C code that hangs and keeps that thread from the GIL
        ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL))
    with suppress(EOFError, OSError):  # the parent is gone
        while True:
            for item in connection.recv():
                connection.send_bytes(_attempt(function, item))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _attempt(function: Callable[[Item], Result], item: Item) -> bytes:
    """Return the result or the exception, pickled."""
    try:
        return pickle.dumps(function(item), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        os._exit(errno.ENOMEM)
    except Exception as error:
        text = traceback.format_exc()
        with suppress(Exception):
            message = pickle.dumps(_Raised(error, text))
            pickle.loads(message)  # some exceptions pickle and don't unpickle
            return message
        return pickle.dumps(_Raised(RuntimeError(f"{type(error).__name__}: {error}"), text))


def _run_on_cluster(
    function: Callable[[Item], Result], items: Iterable[Item], time_limit: float, size: int, address: str
) -> Generator[tuple[Item, Result | Lost], None, None]:
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        expected = "expected the extra `scale` (pip install 'musicrnn[scale]')"
        raise UsageError(f"--scheduler: {expected}, found no dask.distributed") from None
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong comes back as an exception
    try:
        greeting = asyncio.wait_for(_greet(address), CONNECT_SECONDS)
        ThreadPoolExecutor(1).submit(asyncio.run, greeting).result()  # a notebook's own thread has a loop
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        ahead = 2 * max(1, sum(client.nthreads().values()))
    except Exception:
        expected = f"expected a dask scheduler that answers within {CONNECT_SECONDS} s"
        raise MusicRNNError(f"--scheduler {address}: {expected}, found none") from None
    executor = client.get_executor()

    def submit(batch: list[Item]) -> Future[list[Result | Lost]]:
        future: Future[list[Result | Lost]] = executor.submit(_run_there, function, batch, time_limit)
        return future

    def wait_for(future: Future[list[Result | Lost]]) -> list[Result | Lost]:
        while not wait([future], TICK).done:
            if client.status == "closed":  # dask forgets a result that is on its way when the scheduler goes
                raise CancelledError
        return future.result()

    batches = _batches(items, size)
    sent: deque[tuple[list[Item], Future[list[Result | Lost]]]] = deque()
    try:
        while True:
            for batch in islice(batches, ahead - len(sent)):
                sent.append((batch, submit(batch)))
            if not sent:
                return
            batch, future = sent.popleft()
            try:
                results = wait_for(future)
            except KilledWorker:  # dask's own process, several times
                results = []
                for item in batch:
                    try:
                        results += wait_for(submit([item]))
                    except KilledWorker:
                        results.append(Lost("crashed", "the worker of the cluster died"))
            yield from zip(batch, results, strict=True)
    except CancelledError:
        raise MusicRNNError(f"--scheduler {address}: expected answers, found the connection lost") from None
    finally:
        client.close()


async def _greet(address: str) -> None:
    """Connect and part; dask's own client waits forever where another kind of server is silent."""
    from distributed import Security
    from distributed.comm.core import connect

    security = Security().get_connection_args("client")
    connection = await connect(address, timeout=CONNECT_SECONDS, **security)
    await connection.close()


def _run_there(
    function: Callable[[Item], Result], items: list[Item], time_limit: float
) -> list[Result | Lost]:
    """Do a chunk on a cluster as it is done here, in a process of its own."""
    # dask's processes are daemonic, which forbids them children, lest those outlive them; these don't.
    multiprocessing.current_process().daemon = False
    return [result for _, result in _run_here(function, items, 1, time_limit, len(items))]


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
