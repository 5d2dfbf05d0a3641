from __future__ import annotations

import faulthandler
import importlib.util
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.processes import isolated
from musicrnn.processes.isolated import AHEAD, Lost, run

CRASHED = Lost("crashed", "died of signal 11")
LATE = Lost("time-limit", "took longer than 0.5 s")


def square(item: int) -> int:
    return item * item


def square_in_a_while(item: int) -> int:
    time.sleep(random.Random(item).random() / 50)
    return item * item


def square_unless(item: int, fates: dict[int, Callable[[], object]]) -> int:
    if item in fates:
        fates[item]()
    return item * item


def crash() -> None:
    faulthandler.disable()  # pytest's, which would tell of it
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def leave_politely() -> None:
    sys.exit(4)


def spin() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(60)


def exhaust_memory() -> None:
    raise MemoryError


def crash_once(item: int, folder: Path) -> int:
    """Crash on the first try of every third item."""
    mark = folder / str(item)
    if item % 3 == 0 and not mark.exists():
        mark.touch()
        crash()
    return item * item


def divide() -> None:
    1 / 0  # noqa: B018


def skip_without_dask() -> None:
    """Skip the test, without importing dask here: its helpers change how exceptions pickle."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs the extra `scale`")


class Awkward(Exception):
    """Pickles, but does not unpickle."""

    def __init__(self, note: str, accidental: str) -> None:
        super().__init__(f"{note} {accidental}")


def be_awkward() -> None:
    raise Awkward("no", "flat")


def kill_the_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def hold_the_gil() -> None:
    """Hang as a C extension can: in one call that lets no other thread run."""
    sum(itertools.repeat(0))


def kilobytes(item: int) -> bytes:
    return bytes(20_000)


def expected(count: int, fates: dict[int, Lost]) -> list[tuple[int, int | Lost]]:
    return [(item, fates.get(item, item * item)) for item in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk", [1, 16])
def test_results_come_in_order(workers: int, chunk: int) -> None:
    found = run(square_in_a_while, range(50), workers=workers, time_limit=30, chunk=chunk)
    assert list(found) == expected(50, {})
    assert list(run(square, [], workers=workers, time_limit=30)) == []


@pytest.mark.parametrize(
    ("fate", "lost"),
    [
        (crash, CRASHED),
        (leave, Lost("crashed", "exited with status 3")),
        (leave_politely, Lost("crashed", "exited with status 4")),
        (exhaust_memory, Lost("crashed", "ran out of memory")),
        (spin, LATE),
        (sleep, LATE),
        (hold_the_gil, LATE),
    ],
)
def test_a_crash_or_a_hang_costs_one_item(fate: Callable[[], object], lost: Lost) -> None:
    function = partial(square_unless, fates={21: fate})
    assert list(run(function, range(60), workers=2, time_limit=0.5)) == expected(60, {21: lost})


@pytest.mark.parametrize("workers", [1, 2])
def test_first_and_last_and_many_in_a_row_are_lost_alone(workers: int) -> None:
    culprits = [0, *range(10, 30), 99]
    function = partial(square_unless, fates=dict.fromkeys(culprits, crash) | {5: spin, 40: leave})
    lost = dict.fromkeys(culprits, CRASHED) | {5: LATE, 40: Lost("crashed", "exited with status 3")}
    assert list(run(function, range(100), workers=workers, time_limit=0.5)) == expected(100, lost)


def test_an_item_whose_process_dies_is_tried_once_more(tmp_path: Path) -> None:
    found = run(partial(crash_once, folder=tmp_path), range(20), workers=2, time_limit=30)
    assert list(found) == expected(20, {})


def test_a_long_pause_of_the_consumer_is_no_hang() -> None:
    with closing(run(square_in_a_while, range(100), workers=2, time_limit=0.3)) as found:
        first = next(found)
        time.sleep(0.6)
        assert [first, *found] == expected(100, {})


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_a_few_chunks_ahead(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in itertools.count():
            taken.append(item)
            yield item

    with closing(run(square, items(), workers=workers, time_limit=30, chunk=4)) as found:
        for item, _ in itertools.islice(found, 500):
            assert len(taken) - item <= 4 * AHEAD * workers


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    tracemalloc.start()
    try:
        size = sum(len(result) for _, result in run(kilobytes, range(2000), workers=2, time_limit=30))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 40_000_000 and peak < 5_000_000


def test_closing_early_ends_the_workers() -> None:
    function = partial(square_unless, fates={30: spin, 40: hold_the_gil})
    with closing(run(function, itertools.count(), workers=3, time_limit=30, chunk=4)) as found:
        next(found)
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()


def test_an_exception_is_raised_where_the_results_are_used() -> None:
    results = []
    with pytest.raises(ZeroDivisionError) as raised:
        for pair in run(partial(square_unless, fates={20: divide}), range(60), workers=2, time_limit=30):
            results.append(pair)
    assert "in divide" in str(raised.value.__cause__)
    assert results == expected(len(results), {}) and len(results) <= 20
    assert not multiprocessing.active_children()
    with pytest.raises(RuntimeError, match="Awkward: no flat"):
        list(run(partial(square_unless, fates={0: be_awkward}), range(2), workers=1, time_limit=30))


def test_items_that_fill_the_pipe_arrive() -> None:
    items = [bytes([item]) * 300_000 for item in range(40)]
    found = run(bytes.upper, items, workers=2, time_limit=30)
    assert list(found) == [(item, item.upper()) for item in items]


def test_other_threads_of_the_program_are_no_hindrance() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert list(run(square, range(20), workers=2, time_limit=30)) == expected(20, {})
    finally:
        done.set()
        thread.join()


@contextmanager
def program(lines: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program and its workers in a process group of their own, which ends with the block."""
    script = f"""
from tests.processes.test_isolated import *
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where the tests run
{textwrap.indent(textwrap.dedent(lines), "    ")}
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


ENDLESS = """
hang = hold_the_gil if sys.platform == "linux" else spin  # elsewhere nothing ends such a worker
function = partial(square_unless, fates={4: spin, 8: hang, 12: sleep})
for item, _ in run(function, itertools.count(), workers=5, time_limit=30, chunk=4):
    print(item, flush=True)
"""


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.1])
def test_workers_do_not_outlive_a_killed_program(moment: float) -> None:
    with program(ENDLESS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        process.communicate(timeout=30)  # which ends when nobody holds the far ends of stdout and stderr


def test_ctrl_c_ends_the_program_and_its_workers_without_a_word_from_them() -> None:
    with program(ENDLESS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert said.count("Traceback") == 1 and said.splitlines()[-1] == "KeyboardInterrupt"


CLUSTER = """
import dask, distributed
dask.config.set({"distributed.scheduler.allowed-failures": 0})
with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
    there = partial(run, workers=1, time_limit=1, scheduler=cluster.scheduler_address)
    for fates in ({}, {5: crash, 70: leave, 90: spin}, {7: kill_the_parent}):
        found = list(there(partial(square_unless, fates=fates), range(100)))
        others = [(item, result) for item, result in found if result != item**2]
        print([item for item, _ in found] == [*range(100)], others)
    try:
        list(there(partial(square_unless, fates={20: divide}), range(30)))
    except ZeroDivisionError as error:
        print(error)
"""


def test_a_cluster_gives_the_same_results() -> None:
    skip_without_dask()
    with program(CLUSTER) as process:
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    late = Lost("time-limit", "took longer than 1 s")
    assert said.splitlines() == [
        "True []",
        f"True {[(5, CRASHED), (70, Lost('crashed', 'exited with status 3')), (90, late)]}",
        f"True {[(7, Lost('crashed', 'the worker of the cluster died'))]}",
        "division by zero",
    ]


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_is_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_dask()
    monkeypatch.setattr(isolated, "CONNECT_SECONDS", 0.5)
    with pytest.raises(
        MusicRNNError, match=f"--scheduler {address}: expected a dask scheduler .* found none"
    ):
        next(run(square, range(3), workers=1, time_limit=30, scheduler=address))


def test_a_cluster_without_dask_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"expected the extra `scale` .* found no dask.distributed"):
        next(run(square, range(3), workers=1, time_limit=30, scheduler="tcp://127.0.0.1:8786"))
