"""``musicrnn train`` processes, looked at from outside: how far they are, and their memory. Linux only."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from musicrnn.errors import ModelError
from musicrnn.training import STATE
from musicrnn.training.run import load_state


class Process:
    """A ``musicrnn train`` that is looked at from outside, and killed at the end of the context.

    Args:
        corpus: What it trains on.
        run: Where its run goes.
        hidden: Hidden units.
        flags: What else to tell it.
    """

    def __init__(self, corpus: Path, run: Path, hidden: int, *flags: str) -> None:
        command = [sys.executable, "-m", "musicrnn", "train", str(corpus), "-o", str(run), "--quiet"]
        command += ["--hidden", str(hidden), "--epochs", "1000000", "--patience", "1000000", *flags]
        self._run, self._started = run, time.monotonic()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self, reached: Callable[[], bool], pause: float = 0.005) -> float:
        """Wait for something, looking every few milliseconds; return the seconds since the process began."""
        while not reached():
            if self._process.poll() is not None:
                raise ModelError(f"training ended with exit code {self._process.returncode}")
            time.sleep(pause)
        return time.monotonic() - self._started

    def memory(self, what: str = "VmRSS") -> int:
        """Return the resident set in bytes; ``VmHWM`` is its peak, ``RssFile`` its pages of mapped files."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))

    def epochs(self) -> int:
        """Return how many epochs are done."""
        path = self._run / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def updates(self) -> int:
        """Return how many updates are saved."""
        return load_state(self._run)[1].updates if (self._run / STATE).exists() else 0


def memory_by_epoch(corpus: Path, run: Path, hidden: int, epochs: int) -> list[int]:
    """Return the bytes in memory after each of so many epochs."""
    found = []
    with Process(corpus, run, hidden) as process:
        for epoch in range(epochs):
            process.wait(lambda epoch=epoch: process.epochs() > epoch)
            found.append(process.memory())
    return found


def start(corpus: Path, run: Path, hidden: int, batches: int) -> dict[str, Any]:
    """Return when the first batch is trained on, and the memory then and after so many batches."""
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
