"""A pool of worker processes that do jobs, one after the other.

A worker reads jobs from its standard input, a line of JSON each, and writes a line of JSON with the result or
the error of each to its standard output.
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
from queue import Empty, SimpleQueue
from typing import Any

from musicrnn.errors import MusicRNNError
from musicrnn.processes import child

PAUSE = 0.5
"""Seconds that ``Pool.wait`` waits by default."""


@dataclass(frozen=True)
class Job:
    """A call of a function in a worker.

    Attributes:
        work: The function, as ``module:name``.
        arguments: Its arguments by name, as JSON values.
    """

    work: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """How a job ended: with a result, an error, or the death of its worker.

    Attributes:
        job: The job.
        result: What the function returned, as JSON values.
        error: What it raised.
        death: The signal or exit status that that ended its worker, as text.
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
            raise MusicRNNError(f"expected a worker to finish its job, found it ended by {self.death}")
        return self.result


class Pool:
    """Worker processes, started when they are needed.

    As a context it ends them all; those that are busy get SIGTERM and ``child.GRACE`` seconds to save.

    Args:
        size: How many workers there are at most.
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
        deadline = time.monotonic() + child.GRACE
        for worker in [*self._idle, *self._busy]:
            worker.end(max(0.0, deadline - time.monotonic()))

    @property
    def free(self) -> int:
        """How many more jobs can be started now."""
        return self.size - len(self._busy)

    @property
    def working(self) -> int:
        """How many jobs are running."""
        return len(self._busy)

    def start(self, job: Job) -> None:
        """Start a job; there must be a free worker."""
        assert self.free > 0
        worker = self._idle.pop() if self._idle else _Worker(self.threads, self._answers)
        self._busy[worker] = job
        worker.send(job)

    def wait(self, seconds: float = PAUSE) -> Done | None:
        """Return the next job that is done, or None after ``seconds``."""
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


class _Worker:
    """A worker process, and the thread that reads its answers; an empty answer says that it died."""

    def __init__(self, threads: int, answers: SimpleQueue[tuple[_Worker, bytes]]) -> None:
        self.process = child.start(
            f"{__name__}:main",
            variables={"OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, args=(answers,), daemon=True)
        self._reader.start()

    def send(self, job: Job) -> None:
        assert self.process.stdin is not None
        document = {"work": job.work, "arguments": dict(job.arguments)}
        with contextlib.suppress(BrokenPipeError):  # it died, which its answer says
            self.process.stdin.write(json.dumps(document).encode() + b"\n")
            self.process.stdin.flush()

    def end(self, grace: float = child.GRACE) -> int:
        """Say that there are no more jobs, wait for the end, and return how the process ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = child.end(self.process, grace)
        self._reader.join()
        self.process.stdout.close()
        return code

    def _read(self, answers: SimpleQueue[tuple[_Worker, bytes]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answers.put((self, line))
        answers.put((self, b""))


def main() -> None:
    """Main loop of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what jobs print must not be read as an answer
    for line in sys.stdin.buffer:
        answer = _answer(json.loads(line))
        with contextlib.suppress(OSError):  # the parent may be gone
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job; return its result or its error."""
    module, _, name = job["work"].partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), name)(**job["arguments"])}
    except KeyboardInterrupt:  # how a training ends after SIGTERM
        sys.exit(130)
    except Exception as error:
        return {"error": _message(error), "traceback": traceback.format_exc()}


def _message(error: Exception) -> str:
    if isinstance(error, MusicRNNError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return f"expected a worker to finish its job, found {type(error).__name__}: {error}"
