"""Work in processes of their own, which end when this one does, however it ends.

Each is a new Python, told over its standard input what to do, a line of JSON per job, and answering with a
line of JSON over its standard output: that needs no guard in the program that calls it, and works from
notebooks. The input stays open; its end says that the parent is gone.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from musicrnn.errors import MusicRNNError

PAUSE = 0.5
"""Seconds between looks at the processes."""
GRACE = 20.0
"""Seconds that a process has to save what it does when it is told to end."""
_COMMAND = [sys.executable, "-c", "from musicrnn.processes.pool import main; main()"]


@dataclass(frozen=True)
class Job:
    """What a process is to do.

    Attributes:
        work: The function to call, as ``module:name``.
        arguments: What to call it with, by name, as JSON values.
    """

    work: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        job: The job.
        result: What the function returned, as JSON values.
        error: What it raised.
        death: How its process ended, if it did.
    """

    job: Job
    result: Any = None
    error: MusicRNNError | None = None
    death: str = ""

    def checked(self) -> Any:
        """Return the result.

        Raises:
            MusicRNNError: There is none.
        """
        if self.error is not None:
            raise self.error
        if self.death:
            raise MusicRNNError(f"expected a worker to do its work, found it ended by {self.death}")
        return self.result


class Pool:
    """Processes that do jobs; a context, at whose end those that still have one are told to save and end.

    Args:
        size: How many processes there are at most; each is started when it is needed.
        threads: Threads of each.
    """

    def __init__(self, size: int, threads: int = 1) -> None:
        self.size = size
        self.threads = threads
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Job] = {}
        self._answers: SimpleQueue[tuple[_Worker, bytes]] = SimpleQueue()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._busy:
            worker.process.terminate()
        self.dismiss()
        deadline = time.monotonic() + GRACE
        for worker in self._busy:
            worker.await_end(max(0.0, deadline - time.monotonic()))
        self._busy.clear()

    @property
    def free(self) -> int:
        """How many jobs can be started."""
        return self.size - len(self._busy)

    @property
    def working(self) -> int:
        """How many jobs are under way."""
        return len(self._busy)

    def start(self, job: Job) -> None:
        """Have a job done; there must be room for it."""
        assert self.free > 0
        worker = self._idle.pop() if self._idle else _Worker(self.threads, self._answers)
        self._busy[worker] = job
        worker.tell(job)

    def wait(self, seconds: float = PAUSE) -> Done | None:
        """Return what came of the next job that is done, or None after so many seconds."""
        try:
            worker, line = self._answers.get(timeout=seconds)
        except Empty:
            return None
        job = self._busy.pop(worker, None)
        if not line:
            code = worker.end()
            if worker in self._idle:
                self._idle.remove(worker)
            return Done(job, death=f"signal {-code}" if code < 0 else f"status {code}") if job else None
        assert job is not None
        self._idle.append(worker)
        answer = json.loads(line)
        if "error" not in answer:
            return Done(job, answer["result"])
        error = MusicRNNError(answer["error"])
        error.__cause__ = RuntimeError(f"in a worker:\n{answer['traceback']}")
        return Done(job, error=error)

    def dismiss(self) -> None:
        """End the processes that have nothing to do."""
        while self._idle:
            self._idle.pop().end()


class _Worker:
    """A process that does a job after the other."""

    def __init__(self, threads: int, answers: SimpleQueue[tuple[_Worker, bytes]]) -> None:
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": str(threads),
        }
        # A session of its own: who interrupts the terminal interrupts the parent, and it tells its workers.
        self.process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )
        self._listener = threading.Thread(target=self._listen, args=(answers,), daemon=True)
        self._listener.start()

    def tell(self, job: Job) -> None:
        """Hand a job over; that the process has died is told by its answer, which is empty."""
        assert self.process.stdin is not None
        document = {"work": job.work, "arguments": dict(job.arguments)}
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(document).encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> int:
        """Tell a process that does nothing that there is nothing left; return how it ended."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return self.await_end(GRACE)

    def await_end(self, grace: float) -> int:
        """Make sure that a process that was told to end is gone; return how it ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()  # not before: its end would tell the process a second time
        self._listener.join()
        self.process.stdout.close()
        return self.process.returncode

    def _listen(self, answers: SimpleQueue[tuple[_Worker, bytes]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answers.put((self, line))
        answers.put((self, b""))


def main() -> None:
    """Be a worker. It ends without Python's own end, which would wait for the thread that reads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed is no answer
    jobs: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(jobs, busy), daemon=True).start()
    while (job := jobs.get()) is not None:
        answer = _answer(job)
        busy.clear()
        with contextlib.suppress(OSError):  # the parent may be gone
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    os._exit(0)


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job; return its result or its error."""
    module, _, name = job["work"].partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), name)(**job["arguments"])}
    except KeyboardInterrupt:  # how a training ends that was told to
        os._exit(130)
    except Exception as error:
        return {"error": _in_words(error), "traceback": traceback.format_exc()}


def _listen(jobs: SimpleQueue[dict[str, Any] | None], busy: threading.Event) -> None:
    """Read jobs. At the end of the input end, too: first as a training is told to, which saves it."""
    for line in sys.stdin.buffer:
        busy.set()
        jobs.put(json.loads(line))
    jobs.put(None)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)


def _in_words(error: Exception) -> str:
    if isinstance(error, MusicRNNError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return f"expected a worker to do its work, found {type(error).__name__}: {error}"
