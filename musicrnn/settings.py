"""Settings: fields of dataclasses, each declared once with its bounds, its group and its description.

Groups of settings are dataclasses; a dataclass may hold others. Files and the command line know every setting
by its own name, whatever group it is in: ``declarations`` lists them flat, ``assemble`` and ``flatten``
convert between the flat form and the grouped one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, field, fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from musicrnn.errors import UsageError

_Group = TypeVar("_Group")

_BOUNDS = {"least": "at least", "above": "above", "most": "at most", "below": "below"}


def setting(
    group: str,
    default: Any,
    text: str,
    *,
    usual: str = "",
    choices: Sequence[str] = (),
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> Any:
    """Declare a setting as a field of a frozen dataclass.

    Args:
        group: The heading that it stands under in ``--help``.
        default: Its value unless one is given.
        text: What it is, with its source.
        usual: What the default amounts to, where it depends on other settings.
        choices: The values that it may have, if they are names.
        least: The least value of a number.
        above: What a number must exceed.
        most: The greatest value of a number.
        below: What a number must stay below.
    """
    bounds = {"least": least, "above": above, "most": most, "below": below}
    metadata = {"group": group, "text": text, "usual": usual, "choices": choices, **bounds}
    return field(default=default, metadata=metadata)


def check(group: Any) -> None:
    """Refuse values outside the bounds of their settings.

    Raises:
        UsageError: A value that its setting can't have.
    """
    for entry in fields(group):
        if entry.metadata:
            _check(entry, getattr(group, entry.name))


def declarations(cls: type[Any]) -> dict[str, Field[Any]]:
    """Return all settings of a dataclass and of those that it holds, by name."""
    found: dict[str, Field[Any]] = {}
    types = _types(cls)
    for entry in fields(cls):
        found |= {entry.name: entry} if entry.metadata else declarations(types[entry.name])
    return found


def setting_types(cls: type[Any]) -> dict[str, type]:
    """Return the type of every setting; those that may be None have the type of their other values."""
    found: dict[str, type] = {}
    types = _types(cls)
    for entry in fields(cls):
        kind = types[entry.name]
        found |= {entry.name: kind} if entry.metadata else setting_types(kind)
    return found


def flatten(group: Any) -> dict[str, Any]:
    """Return the values of all settings of a dataclass and of those that it holds, by name."""
    values: dict[str, Any] = {}
    for entry in fields(group):
        value = getattr(group, entry.name)
        values |= {entry.name: value} if entry.metadata else flatten(value)
    return values


def assemble(cls: type[_Group], values: Mapping[str, Any]) -> _Group:
    """Make a dataclass, and those that it holds, of settings by name; what isn't given has its default.

    Raises:
        UsageError: A setting that there isn't, or a value that its setting can't have.
    """
    if unknown := set(values) - set(declarations(cls)):
        raise UsageError(f"expected settings among {', '.join(declarations(cls))}; found {min(unknown)!r}")
    arguments: dict[str, Any] = {}
    for entry in fields(cls):  # type: ignore[arg-type]
        if not entry.metadata:
            kind = _types(cls)[entry.name]
            own = set(declarations(kind)) & set(values)
            arguments[entry.name] = assemble(kind, {name: values[name] for name in own})
        elif entry.name in values:
            arguments[entry.name] = values[entry.name]
    return cls(**arguments)


def _types(cls: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {
        entry.name: next(
            (kind for kind in get_args(hints[entry.name]) if kind is not NoneType), hints[entry.name]
        )
        for entry in fields(cls)
    }


def _check(entry: Field[Any], value: Any) -> None:
    rules = entry.metadata
    if rules["choices"] and value not in rules["choices"]:
        raise UsageError(f"{entry.name} must be one of {', '.join(rules['choices'])}, got {value!r}")
    if isinstance(value, str | bool) or value is None:
        return
    if not (rules["least"] <= value <= rules["most"] and rules["above"] < value < rules["below"]):
        words = [f"{word} {rules[key]}" for key, word in _BOUNDS.items() if math.isfinite(rules[key])]
        raise UsageError(f"{entry.name} must be {' and '.join(words or ['finite'])}, got {value}")
