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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.errors import UsageError
from musicrnn.training.recipe import SETTINGS, Recipe, check_settings, read_table

if TYPE_CHECKING:
    from optuna.trial import Trial

Space = Mapping[str, Any]
"""What is searched, by setting: a list of choices, or ``low``, ``high``, ``log`` and perhaps ``step``."""


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


def suggest(trial: Trial, name: str, entry: Any) -> Any:
    """Return a trial's value of a setting of a space, sampled unless it is stored."""
    if isinstance(entry, list):
        return trial.suggest_categorical(name, entry)
    kind = trial.suggest_int if isinstance(entry["low"], int) else trial.suggest_float
    return kind(name, **entry)


def _entry(name: str, entry: Any, base: Recipe, where: str) -> dict[str, Any] | list[Any]:
    """Return a checked range or list of choices."""

    def refused(expected: str, found: object) -> UsageError:
        return UsageError(f"{where}: {name}: expected {expected}, found {found}")

    def checked(value: Any) -> Any:
        value = check_settings({name: value}, where)[name]
        try:
            base.replaced(**{name: value})
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        return value

    if isinstance(entry, list):
        values = [checked(value) for value in entry]
        if not values or len(set(values)) < len(values):
            raise refused("values that differ", entry)
        return values
    if not isinstance(entry, Mapping):
        raise refused("a list of values or { low = …, high = … }", repr(entry))
    if unknown := set(entry) - {"low", "high", "log", "step"}:
        raise refused("low, high, log and step", repr(min(unknown)))
    if missing := {"low", "high"} - set(entry):
        raise refused("low and high", f"no {max(missing)}")
    low, high = checked(entry["low"]), checked(entry["high"])
    if SETTINGS[name].type not in (int, float):
        raise refused("a list of values", "a range")
    log, step = entry.get("log", False), entry.get("step")
    if low is None or high is None or low > high:
        raise refused("low at most high", f"{low} and {high}")
    if not isinstance(log, bool):
        raise refused("log to be true or false", repr(log))
    if log and (low <= 0 or step is not None):
        found = f"low {low}" if low <= 0 else f"step {step}"
        raise refused("low above 0 and no step where log is true", found)
    if step is None:
        return {"low": low, "high": high, "log": log}
    kinds, kind = (int, "whole number") if isinstance(low, int) else (int | float, "number")
    if not isinstance(step, kinds) or isinstance(step, bool) or not 0 < step < math.inf:
        raise refused(f"step to be a {kind} above 0", repr(step))
    return {"low": low, "high": high, "log": log, "step": step}
