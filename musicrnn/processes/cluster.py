"""``isolated.run`` on the cluster of a dask scheduler."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from itertools import islice

from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.processes import isolated
from musicrnn.processes.isolated import TICK, Failed, Item, Result

CHUNK = 4
"""Items that are sent together, since each chunk starts a process of its own."""
CONNECT_SECONDS = 10


def run(
    function: Callable[[Item], Result], items: Iterable[Item], *, time_limit: float, scheduler: str
) -> Generator[tuple[Item, Result | Failed], None, None]:
    """Yield each item with the result of a function, in order, as ``isolated.run`` does.

    Args:
        function: It, the items and the results must pickle.
        items: Its arguments.
        time_limit: Seconds that one item may take.
        scheduler: Address of the scheduler, such as ``tcp://host:8786``.

    Raises:
        MusicRNNError: No scheduler answers at that address, or no longer does.
        UsageError: dask.distributed isn't installed.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        expected = "expected the extra `scale` (pip install 'musicrnn[scale]')"
        raise UsageError(f"--scheduler: {expected}, found no dask.distributed") from None
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors arrive as exceptions
    try:
        greeting = asyncio.wait_for(_greet(scheduler), CONNECT_SECONDS)
        ThreadPoolExecutor(1).submit(asyncio.run, greeting).result()  # a notebook's own thread has a loop
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        ahead = 2 * max(1, sum(client.nthreads().values()))
    except Exception:
        expected = f"expected a dask scheduler that answers within {CONNECT_SECONDS} s"
        raise MusicRNNError(f"--scheduler {scheduler}: {expected}, found none") from None
    executor: Executor = client.get_executor()

    def submit(chunk: list[Item]) -> Future[list[Result | Failed]]:
        return executor.submit(_run_chunk, function, chunk, time_limit)

    def wait_for(future: Future[list[Result | Failed]]) -> list[Result | Failed]:
        while not wait([future], TICK).done:
            if client.status == "closed":  # dask forgets a result that is on its way when the scheduler ends
                raise CancelledError
        return future.result()

    waiting = iter(items)
    chunks = iter(lambda: list(islice(waiting, CHUNK)), [])
    try:
        sent = deque((chunk, submit(chunk)) for chunk in islice(chunks, ahead))
        while sent:
            chunk, future = sent.popleft()
            try:
                results = wait_for(future)
            except KilledWorker:  # dask's own process, several times
                results = []
                for item in chunk:
                    try:
                        results += wait_for(submit([item]))
                    except KilledWorker:
                        results.append(Failed("crashed", "the worker of the cluster died"))
            sent.extend((further, submit(further)) for further in islice(chunks, 1))
            yield from zip(chunk, results, strict=True)
    except CancelledError:
        raise MusicRNNError(f"--scheduler {scheduler}: expected answers, found the connection lost") from None
    finally:
        client.close()


async def _greet(address: str) -> None:
    """Connect and disconnect; dask's own client waits forever for a server of another kind that is silent."""
    from distributed import Security
    from distributed.comm.core import connect

    connection = await connect(address, timeout=CONNECT_SECONDS, **Security().get_connection_args("client"))
    await connection.close()


def _run_chunk(
    function: Callable[[Item], Result], items: list[Item], time_limit: float
) -> list[Result | Failed]:
    """Run a chunk in a worker of the cluster, in an isolated process of its own."""
    # dask's processes are daemonic, which forbids them children, lest those outlive them; these don't.
    multiprocessing.current_process().daemon = False
    return [result for _, result in isolated.run(function, items, workers=1, time_limit=time_limit)]
