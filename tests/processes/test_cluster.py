from __future__ import annotations

import importlib.util
import sys

import pytest

from musicrnn.errors import UsageError
from musicrnn.processes import cluster
from musicrnn.processes.isolated import Failed
from tests.processes.test_isolated import CRASHED, program, square


def skip_without_dask() -> None:
    """Skip the test, without importing dask here: its helpers change how exceptions pickle."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs the extra `scale`")


CLUSTER = """
import dask, distributed
from musicrnn.processes import cluster as there
dask.config.set({"distributed.scheduler.allowed-failures": 0})
with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as local:
    run_there = partial(there.run, time_limit=1, scheduler=local.scheduler_address)
    for fates in ({}, {5: crash, 70: leave, 90: spin}, {7: kill_the_parent}):
        found = list(run_there(partial(square_unless, fates=fates), range(100)))
        others = [(item, result) for item, result in found if result != item**2]
        print([item for item, _ in found] == [*range(100)], others)
    try:
        list(run_there(partial(square_unless, fates={20: divide}), range(30)))
    except ZeroDivisionError as error:
        print(error)
"""


def test_a_cluster_gives_the_same_results() -> None:
    skip_without_dask()
    with program(CLUSTER) as process:
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    late = Failed("time-limit", "took longer than 1 s")
    assert said.splitlines() == [
        "True []",
        f"True {[(5, CRASHED), (70, Failed('crashed', 'exited with status 3')), (90, late)]}",
        f"True {[(7, Failed('crashed', 'the worker of the cluster died'))]}",
        "division by zero",
    ]


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_is_one_line(address: str) -> None:
    skip_without_dask()
    lines = f"""
    from musicrnn.errors import MusicRNNError
    from musicrnn.processes import cluster
    cluster.CONNECT_SECONDS = 0.5
    try:
        next(cluster.run(square, range(3), time_limit=30, scheduler={address!r}))
    except MusicRNNError as error:
        print(error)
    """
    with program(lines) as process:
        said, errors = process.communicate(timeout=60)
    expected = "expected a dask scheduler that answers within 0.5 s, found none"
    assert said == f"--scheduler {address}: {expected}\n", errors


def test_a_cluster_without_dask_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"expected the extra `scale` .* found no dask.distributed"):
        next(cluster.run(square, range(3), time_limit=30, scheduler="tcp://127.0.0.1:8786"))
