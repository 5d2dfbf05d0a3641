from __future__ import annotations

import faulthandler
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

from musicrnn.processes.isolated import AHEAD, Failed, run

CRASHED = Failed("crashed", "died of signal 11")
LATE = Failed("time-limit", "took longer than 0.5 s")


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


def expected(count: int, fates: dict[int, Failed]) -> list[tuple[int, int | Failed]]:
    return [(item, fates.get(item, item * item)) for item in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers: int) -> None:
    found = run(square_in_a_while, range(50), workers=workers, time_limit=30)
    assert list(found) == expected(50, {})
    assert list(run(square, [], workers=workers, time_limit=30)) == []


@pytest.mark.parametrize(
    ("fate", "lost"),
    [
        (crash, CRASHED),
        (leave, Failed("crashed", "exited with status 3")),
        (leave_politely, Failed("crashed", "exited with status 4")),
        (exhaust_memory, Failed("crashed", "ran out of memory")),
        (spin, LATE),
        (sleep, LATE),
        (hold_the_gil, LATE),
    ],
)
def test_a_crash_or_a_hang_costs_one_item(fate: Callable[[], object], lost: Failed) -> None:
    function = partial(square_unless, fates={21: fate})
    assert list(run(function, range(60), workers=2, time_limit=0.5)) == expected(60, {21: lost})


@pytest.mark.parametrize("workers", [1, 2])
def test_first_and_last_and_many_in_a_row_are_lost_alone(workers: int) -> None:
    culprits = [0, *range(10, 30), 99]
    function = partial(square_unless, fates=dict.fromkeys(culprits, crash) | {5: spin, 40: leave})
    lost = dict.fromkeys(culprits, CRASHED) | {5: LATE, 40: Failed("crashed", "exited with status 3")}
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
def test_items_are_read_only_a_few_ahead(workers: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in itertools.count():
            taken.append(item)
            yield item

    with closing(run(square, items(), workers=workers, time_limit=30)) as found:
        for item, _ in itertools.islice(found, 500):
            assert len(taken) - item <= AHEAD * workers


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
    with closing(run(function, itertools.count(), workers=3, time_limit=30)) as found:
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
for item, _ in run(function, itertools.count(), workers=5, time_limit=30):
    print(item, flush=True)
"""


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.1])
def test_workers_do_not_outlive_a_killed_program(moment: float) -> None:
    with program(ENDLESS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        process.communicate(timeout=30)  # which ends when no process holds stdout and stderr


def test_ctrl_c_ends_the_program_and_its_workers_without_a_word_from_them() -> None:
    with program(ENDLESS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert said.count("Traceback") == 1 and said.splitlines()[-1] == "KeyboardInterrupt"
