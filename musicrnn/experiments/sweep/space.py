"""The space that a sweep searches: a range or a list of choices for each setting, read from a TOML file.

::

    learning_rate = { low = 1e-4, high = 1e-2, log = true }
    hidden = { low = 32, high = 256, step = 32 }
    cell = ["gru", "lstm"]

Numbers have ranges, both ends included; anything has choices. Names, types and bounds are those of
``Recipe``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.errors import UsageError
from musicrnn.training.recipe import SETTINGS, Recipe, check_settings, read_table

if TYPE_CHECKING:
    from optuna.trial import Trial


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        log: Whether they are sampled log-uniformly.
        step: Distance between them from ``low`` on; None is 1 for whole numbers and any for others.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Trial, name: str) -> float:
        """Return the value of a trial, sampled unless it is stored."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def to_json(self) -> dict[str, Any]:
        """Return the range as in a space file."""
        step = {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, "log": self.log, **step}


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Trial, name: str) -> Any:
        """Return the value of a trial, sampled unless it is stored."""
        return trial.suggest_categorical(name, self.values)

    def to_json(self) -> list[Any]:
        """Return the choices as in a space file."""
        return list(self.values)


Space = Mapping[str, Range | Choices]


def read_space(path: Path, base: Recipe) -> Space:
    """Read a space from a TOML file, or by its suffix a JSON file; ``base`` has the other settings.

    Raises:
        FileError: The file can't be read.
        UsageError: It isn't a space, or has a value that no recipe accepts.
    """
    return make_space(read_table(path), base, str(path))


def make_space(table: Mapping[str, Any], base: Recipe, where: str) -> Space:
    """Make a space from the content of a file.

    Raises:
        UsageError: It isn't a space; the message starts with ``where``.
    """
    if not table:
        raise UsageError(f"{where}: expected settings to search, found none")
    return {name: _entry(name, entry, base, where) for name, entry in table.items()}


def _entry(name: str, entry: Any, base: Recipe, where: str) -> Range | Choices:
    if isinstance(entry, Mapping):
        return _range(name, entry, base, where)
    if not isinstance(entry, list):
        expected = "expected a list of values or { low = …, high = … }"
        raise UsageError(f"{where}: {name}: {expected}, found {entry!r}")
    values = tuple(_value(name, value, base, where) for value in entry)
    if not values or len(set(values)) < len(values):
        raise UsageError(f"{where}: {name}: expected values that differ, found {entry!r}")
    return Choices(values)


def _range(name: str, entry: Mapping[str, Any], base: Recipe, where: str) -> Range:
    if unknown := set(entry) - {each.name for each in fields(Range)}:
        raise UsageError(f"{where}: {name}: expected low, high, log and step, found {sorted(unknown)[0]!r}")
    if missing := {"low", "high"} - set(entry):
        raise UsageError(f"{where}: {name}: expected low and high, found no {sorted(missing)[-1]}")
    low, high = (_value(name, entry[end], base, where) for end in ("low", "high"))
    if SETTINGS[name].type not in (int, float):
        raise UsageError(f"{where}: {name}: expected a list of values, found a range")
    log, step = entry.get("log", False), entry.get("step")
    if low is None or high is None or low > high:
        raise UsageError(f"{where}: {name}: expected low at most high, found {low} and {high}")
    if not isinstance(log, bool):
        raise UsageError(f"{where}: {name}: expected log to be true or false, found {log!r}")
    if log and (low <= 0 or step is not None):
        found = f"low {low}" if low <= 0 else f"step {step}"
        raise UsageError(
            f"{where}: {name}: expected low above 0 and no step where log is true, found {found}"
        )
    if step is not None:
        kinds = int if isinstance(low, int) else int | float
        if not isinstance(step, kinds) or isinstance(step, bool) or not 0 < step < math.inf:
            kind = "whole number" if kinds is int else "number"
            raise UsageError(f"{where}: {name}: expected step to be a {kind} above 0, found {step!r}")
    return Range(low, high, log, step)


def _value(name: str, value: Any, base: Recipe, where: str) -> Any:
    """Return a checked value of a setting."""
    checked = check_settings({name: value}, where)[name]
    try:
        base.replaced(**{name: checked})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return checked
