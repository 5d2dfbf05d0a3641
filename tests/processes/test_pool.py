from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from musicrnn.errors import MusicRNNError
from musicrnn.processes.pool import Done, Job, Pool


def add(a: int, b: int) -> int:
    print("not an answer")
    return a + b


def fail(text: str) -> None:
    raise MusicRNNError(text)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def save(path: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: Path(path).write_text("saved"))
    Path(path).write_text("begun")
    while Path(path).read_text() == "begun":
        time.sleep(0.01)
    raise KeyboardInterrupt


def job(name: str, **arguments: object) -> Job:
    return Job(f"{__name__}:{name}", arguments)


def wait(pool: Pool) -> Done:
    done = None
    while done is None:
        done = pool.wait()
    return done


def test_a_process_does_job_after_job_and_survives_errors_but_not_death() -> None:
    with Pool(1) as pool:
        pool.start(job("add", a=1, b=2))
        assert pool.free == 0 and wait(pool).checked() == 3
        pool.start(job("fail", text="expected this"))
        failed = wait(pool)
        with pytest.raises(MusicRNNError, match="expected this") as raised:
            failed.checked()
        assert "in fail" in str(raised.value.__cause__)
        pool.start(job("die"))
        died = wait(pool)
        assert died.death == "signal 9" and died.job.work.endswith(":die")
        with pytest.raises(MusicRNNError, match="ended by signal 9"):
            died.checked()
        pool.start(job("add", a=3, b=4))
        assert wait(pool).result == 7 and pool.free == 1


def test_work_under_way_is_saved_when_the_pool_ends(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
        pool.start(job("save", path=str(path)))
        while not path.exists() or path.read_text() != "begun":
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert path.read_text() == "saved"
