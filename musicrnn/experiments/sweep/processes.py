"""Workers in processes of their own, which end when this one does, however it ends.

Each is a new Python, told over its standard input what to do: that needs no guard in the program that calls
``sweep``, and works from notebooks. The input stays open; its end says that the parent is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from musicrnn.errors import MusicRNNError

PAUSE = 0.5
"""Seconds between looks at the workers."""
GRACE = 20.0
"""Seconds that a worker has to save its trial when it is told to end."""
_COMMAND = [sys.executable, "-c", "from musicrnn.experiments.sweep.processes import main; main()"]


@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Attributes:
        corpus: The folder of the corpus.
        directory: The folder of the sweep.
        trials: How many trials the sweep is to have.
        storage: Optuna's name of a database; None is the journal in the folder.
        device: A torch device.
        threads: Threads for torch.
    """

    corpus: str
    directory: str
    trials: int
    storage: str | None
    device: str
    threads: int


def run_workers(jobs: list[Job], told: Callable[[], None], died: Callable[[str], None]) -> list[str]:
    """Have every job done by a process.

    Args:
        jobs: What each worker is to do.
        told: Is called again and again meanwhile.
        died: Is called with words for how it died when a worker was killed.

    Returns:
        How workers died that were killed; the others have then done what they could.

    Raises:
        MusicRNNError: What a worker raised.
    """
    workers, deaths = list[_Worker](), list[str]()
    try:
        for job in jobs:
            workers.append(_Worker(job))
        while workers:
            told()
            for worker in [worker for worker in workers if worker.process.poll() is not None]:
                workers.remove(worker)
                for how in worker.end():
                    deaths.append(how)
                    died(how)
            time.sleep(PAUSE if workers else 0)
    finally:
        for worker in workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE
        for worker in workers:
            worker.kill(max(0.0, deadline - time.monotonic()))
    told()
    return deaths


class _Worker:
    """A process that has a job."""

    def __init__(self, job: Job) -> None:
        paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": str(job.threads),
        }
        # A session of its own: who interrupts the terminal interrupts the parent, and it tells its workers.
        self.process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> list[str]:
        """Return how the process died, if it was killed; raise what it raised."""
        assert self.process.stdin is not None and self.process.stdout is not None
        said = self.process.stdout.read()
        self.process.stdin.close()
        self.process.stdout.close()
        code = self.process.wait()
        if code == 1 and said:
            document = json.loads(said.splitlines()[-1])
            raise MusicRNNError(document["error"]) from RuntimeError(f"in a worker:\n{document['traceback']}")
        return [f"signal {-code}" if code < 0 else f"status {code}"] if code else []

    def kill(self, grace: float) -> None:
        """Make sure that the process is gone."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def main() -> None:
    """Be a worker. It ends without Python's own end, which would wait for the thread that reads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line:  # the parent is gone already
        return
    job = Job(**json.loads(line))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _work(job)
    except KeyboardInterrupt:  # how a training ends that was told to
        os._exit(130)
    except Exception as error:
        document = {"error": _in_words(error), "traceback": traceback.format_exc()}
        with contextlib.suppress(OSError):  # the parent may be gone
            sys.stdout.write("\n" + json.dumps(document))
            sys.stdout.flush()
        os._exit(1)
    os._exit(0)


def _work(job: Job) -> None:
    import torch

    from musicrnn.corpus import open_corpus
    from musicrnn.experiments.sweep.study import open_study, read_plan
    from musicrnn.experiments.sweep.trials import Worker

    torch.set_num_threads(job.threads)
    directory = Path(job.directory)
    with open_study(directory, read_plan(directory), job.storage) as study:
        Worker(study, open_corpus(job.corpus), job.trials, job.device, lambda: None).work()


def _end_with_parent() -> None:
    """End when the input does: first as a training is told to, which saves it."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _in_words(error: Exception) -> str:
    if isinstance(error, MusicRNNError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return f"expected a worker to do its trials, found {type(error).__name__}: {error}"
