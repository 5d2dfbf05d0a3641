"""Progress and memory of ``musicrnn train`` processes, observed from outside. Linux only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import command, proc_bytes
from musicrnn.errors import ModelError
from musicrnn.training.run import STATE, load_state


class Process:
    """A ``musicrnn train`` process that is observed from outside, and killed at the end of the context.

    Args:
        corpus: The training corpus.
        run: Folder of the run.
        hidden: Hidden units.
        flags: Further flags.
    """

    def __init__(self, corpus: Path, run: Path, hidden: int, *flags: str) -> None:
        endless = ("--hidden", hidden, "--epochs", 1_000_000, "--patience", 1_000_000)
        words = command("train", corpus, "-o", run, "--quiet", *endless, *flags)
        self._run, self._started = run, time.monotonic()
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self, condition: Callable[[], bool], pause: float = 0.005) -> float:
        """Poll until a condition is met; return the seconds since the process started."""
        while not condition():
            if self._process.poll() is not None:
                raise ModelError(f"training ended with exit code {self._process.returncode}")
            time.sleep(pause)
        return time.monotonic() - self._started

    def memory(self, field: str = "VmRSS") -> int:
        """Return the resident set in bytes; ``VmHWM`` is its peak, ``RssFile`` its pages of mapped files."""
        return proc_bytes(self._process.pid, "status", field)

    def epochs(self) -> int:
        """Return the number of completed epochs."""
        path = self._run / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def updates(self) -> int:
        """Return the number of updates in the saved state."""
        return load_state(self._run)[1].updates if (self._run / STATE).exists() else 0


def memory_by_epoch(corpus: Path, run: Path, hidden: int, epochs: int) -> list[int]:
    """Return the resident set after each of the first epochs, in bytes."""
    found = []
    with Process(corpus, run, hidden) as process:
        for epoch in range(epochs):
            process.wait(lambda epoch=epoch: process.epochs() > epoch)
            found.append(process.memory())
    return found


def start(corpus: Path, run: Path, hidden: int, batches: int) -> dict[str, Any]:
    """Return the time of the first update, and the memory then and after a number of updates."""
    with Process(corpus, run, hidden, "--save-minutes", "0") as process:
        first = process.wait(lambda: (run / STATE).exists())
        resident = process.memory()
        later = process.wait(lambda: process.updates() >= batches, 0.1)
        return {
            "seconds": first,
            "megabytes": resident / 1e6,
            "later_batches": batches,
            "later_seconds": later,
            "later_megabytes": process.memory() / 1e6,
            "peak_megabytes": process.memory("VmHWM") / 1e6,
            "mapped_megabytes": process.memory("RssFile") / 1e6,
        }
