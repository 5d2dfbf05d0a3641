"""Settings: fields of dataclasses, each declared once with its group, its range and its description.

The description of a setting is its entry in the docstring of its dataclass. A dataclass may hold others;
files and the command line know every setting by its own name, in any dataclass: ``declarations``
lists them flat, ``assemble`` and ``flatten`` convert between the flat form and the grouped one.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from musicrnn.errors import UsageError

_Group = TypeVar("_Group")


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes:
        name: Its name in files; ``--help`` has it with dashes.
        type: Of its values other than None.
        default: Its value unless one is given.
        group: Its heading in ``--help``.
        range: The interval of its numbers, such as ``[0, 1)``.
        usual: What the default amounts to, where it depends on other settings.
        choices: The values that it may have, if they are names.
        text: Its description.
    """

    name: str
    type: type
    default: Any
    group: str
    range: str
    usual: str
    choices: tuple[str, ...]
    text: str

    def check(self, value: Any) -> None:
        """Refuse a value outside the range or the choices.

        Raises:
            UsageError: The setting can't have it.
        """
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name} must be one of {', '.join(self.choices)}, got {value!r}")
        if isinstance(value, str | bool) or value is None:
            return
        low, high = (float(end) for end in self.range[1:-1].split(","))
        above = value > low if self.range[0] == "(" else value >= low
        below = value < high if self.range[-1] == ")" else value <= high
        if not (above and below):
            words = {
                f"{_WORDS[self.range[0]]} {low:.15g}": low,
                f"{_WORDS[self.range[-1]]} {high:.15g}": high,
            }
            bounds = [text for text, end in words.items() if math.isfinite(end)] or ["finite"]
            raise UsageError(f"{self.name} must be {' and '.join(bounds)}, got {value}")


_WORDS = {"[": "at least", "(": "above", "]": "at most", ")": "below"}


def setting(
    group: str, default: Any, range: str = "(-inf, inf)", usual: str = "", choices: tuple[str, ...] = ()
) -> Any:
    """Declare a setting as a field of a frozen dataclass; see ``Setting``."""
    metadata = {"group": group, "range": range, "usual": usual, "choices": choices}
    return field(default=default, metadata=metadata)


def declarations(cls: type[Any]) -> dict[str, Setting]:
    """Return all settings of a dataclass and of those that it holds, by name."""
    found: dict[str, Setting] = {}
    hints, texts = get_type_hints(cls), _attribute_texts(cls)
    for entry in fields(cls):
        hint = hints[entry.name]
        if entry.default is MISSING:
            found |= declarations(hint)
        else:
            kind = next((kind for kind in get_args(hint) if kind is not NoneType), hint)
            found[entry.name] = Setting(
                entry.name, kind, entry.default, text=texts[entry.name], **entry.metadata
            )
    return found


def check(group: Any) -> None:
    """Refuse values outside the ranges of their settings; for ``__post_init__``.

    Raises:
        UsageError: A value that its setting can't have.
    """
    for name, entry in declarations(type(group)).items():
        if name in vars(group):
            entry.check(getattr(group, name))


def flatten(group: Any) -> dict[str, Any]:
    """Return the values of all settings of a dataclass and of those that it holds, by name."""
    values: dict[str, Any] = {}
    for entry in fields(group):
        value = getattr(group, entry.name)
        values |= flatten(value) if entry.default is MISSING else {entry.name: value}
    return values


def assemble(cls: type[_Group], values: Mapping[str, Any]) -> _Group:
    """Make a dataclass, and those that it holds, of settings by name; what isn't given has its default.

    Raises:
        UsageError: A setting that there isn't, or a value that its setting can't have.
    """
    if unknown := set(values) - set(declarations(cls)):
        raise UsageError(f"expected settings among {', '.join(declarations(cls))}; found {min(unknown)!r}")
    arguments, hints = dict[str, Any](), get_type_hints(cls)
    for entry in fields(cls):  # type: ignore[arg-type]
        if entry.default is MISSING:
            own = set(declarations(hints[entry.name])) & set(values)
            arguments[entry.name] = assemble(hints[entry.name], {name: values[name] for name in own})
        elif entry.name in values:
            arguments[entry.name] = values[entry.name]
    return cls(**arguments)


def _attribute_texts(cls: type[Any]) -> dict[str, str]:
    """Return the entries of the section ``Attributes`` of a docstring, by name."""
    section = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
