"""A pool of worker processes that do jobs, one after the other.

A worker reads jobs from its standard input, a line of JSON each, and writes a line of JSON with the result or
the error of each to its standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from musicrnn.errors import MusicRNNError
from musicrnn.processes import child


@dataclass(frozen=True)
class Job:
    """A call of a function in a worker: ``module:name``, and its arguments by name, as JSON values."""

    work: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """How a job ended: with a result, an error, or the death of its worker.

    Attributes:
        job: The job.
        result: What the function returned, as JSON values.
        error: What it raised.
        death: The signal or exit status that ended its worker, as text.
    """

    job: Job
    result: Any = None
    error: MusicRNNError | None = None
    death: str = ""

    def checked(self) -> Any:
        """Return the result, or raise a MusicRNNError where there is none."""
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
        self.size, self.threads = size, threads
        self._idle: list[subprocess.Popen[bytes]] = []
        self._busy: dict[subprocess.Popen[bytes], Job] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._busy:
            worker.terminate()
        deadline = time.monotonic() + child.GRACE
        for worker in [*self._idle, *self._busy]:
            self._end(worker, max(0.0, deadline - time.monotonic()))
        self._selector.close()

    @property
    def free(self) -> int:
        """How many more jobs can be started now."""
        return self.size - len(self._busy)

    def start(self, job: Job) -> None:
        """Start a job; there must be a free worker."""
        assert self.free > 0
        if self._idle:
            worker = self._idle.pop()
        else:
            limits, pipe = {"OMP_NUM_THREADS": str(self.threads)}, subprocess.PIPE
            worker = child.start(f"{__name__}:main", variables=limits, stdin=pipe, stdout=pipe)
            self._selector.register(worker.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        self._busy[worker] = job
        assert worker.stdin is not None
        with suppress(BrokenPipeError):  # it died, which ``wait`` reports
            worker.stdin.write(json.dumps(vars(job)).encode() + b"\n")
            worker.stdin.flush()

    def wait(self, seconds: float = 0.5) -> Done | None:
        """Return the next job that is done, or None after ``seconds``."""
        for key, _ in self._selector.select(seconds)[:1]:
            worker = key.data
            line = worker.stdout.readline()
            if worker in self._idle:  # it died
                self._idle.remove(worker)
                self._end(worker)
                return None
            job = self._busy.pop(worker)
            if not line:
                code = self._end(worker)
                return Done(job, death=f"signal {-code}" if code < 0 else f"status {code}")
            self._idle.append(worker)
            answer = json.loads(line)
            if "error" not in answer:
                return Done(job, answer["result"])
            error = MusicRNNError(answer["error"])
            error.__cause__ = RuntimeError(f"in a worker:\n{answer['traceback']}")
            return Done(job, error=error)
        return None

    def _end(self, worker: subprocess.Popen[bytes], grace: float = child.GRACE) -> int:
        """Tell a worker that there are no more jobs, wait for its end, and return its exit status."""
        assert worker.stdin is not None and worker.stdout is not None
        with suppress(BrokenPipeError):
            worker.stdin.close()
        code = child.end(worker, grace)
        self._selector.unregister(worker.stdout)
        worker.stdout.close()
        return code


def main() -> None:
    """Main loop of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what jobs print must not be read as an answer
    for line in sys.stdin.buffer:
        answer = _answer(json.loads(line))
        with suppress(OSError):  # the parent may be gone
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
        message = f"expected a worker to finish its job, found {type(error).__name__}: {error}"
        if isinstance(error, MusicRNNError):
            message = str(error)
        elif isinstance(error, OSError):
            message = f"{error.filename or 'a file'}: {error.strerror or error}"
        return {"error": message, "traceback": traceback.format_exc()}
