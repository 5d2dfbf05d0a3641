"""The report of a sweep: ranks, and a table as a file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from musicrnn.experiments.sweep.space import Space
from musicrnn.experiments.sweep.store import Trial
from musicrnn.files import write_bytes

_ORDER = ("complete", "pruned", "running", "failed")


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return complete trials from best to worst, then pruned ones, then those that are running or failed."""

    def place(trial: Trial) -> tuple[int, float, int]:
        nll = math.inf if trial.valid_nll is None else trial.valid_nll
        return _ORDER.index(trial.state), nll, trial.number

    return sorted(trials, key=place)


def rows(trials: Sequence[Trial], space: Space) -> list[dict[str, Any]]:
    """Return the trials, in their order, as JSON values by column."""
    return [
        {
            "run": str(trial.run),
            "number": trial.number,
            "state": trial.state,
            "valid_nll": trial.valid_nll,
            "epochs": trial.epochs,
            "reason": trial.reason,
            **{name: trial.settings.get(name) for name in space},
        }
        for trial in trials
    ]


def write_table(trials: Sequence[Trial], space: Space, path: Path) -> None:
    """Write the trials, in their order, as a table of comma-separated values.

    Raises:
        FileError: The file can't be written.
    """
    lines = rows(trials, space)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(lines[0]) if lines else [])
    table.writeheader()
    table.writerows(lines)
    write_bytes(path, buffer.getvalue().encode())
