"""Settings: declared once, flat outside and grouped inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from musicrnn.errors import UsageError
from musicrnn.settings import assemble, check, declarations, flatten, setting, setting_types


@dataclass(frozen=True)
class Inner:
    size: int = setting("shape", 3, "Size.", least=1, most=9)
    name: str = setting("shape", "a", "Name.", choices=("a", "b"))

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    rate: float | None = setting("speed", None, "Rate.", above=0, below=1)
    flag: bool = setting("speed", False, "Flag.")

    def __post_init__(self) -> None:
        check(self)


def test_declarations_and_types_are_flat_and_in_order() -> None:
    assert list(declarations(Outer)) == ["size", "name", "rate", "flag"]
    assert [entry.metadata["group"] for entry in declarations(Outer).values()] == ["shape"] * 2 + [
        "speed"
    ] * 2
    assert setting_types(Outer) == {"size": int, "name": str, "rate": float, "flag": bool}


def test_flat_values_become_groups_and_back() -> None:
    values = {"size": 5, "name": "b", "rate": 0.5, "flag": True}
    assert assemble(Outer, values) == Outer(Inner(5, "b"), 0.5, True)
    assert flatten(assemble(Outer, values)) == values
    assert assemble(Outer, {}) == Outer()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "size must be at least 1 and at most 9, got 0"),
        ({"name": "c"}, "name must be one of a, b, got 'c'"),
        ({"rate": 1.0}, "rate must be above 0 and below 1, got 1.0"),
        ({"colour": 1}, "expected settings among size, name, rate, flag; found 'colour'"),
    ],
)
def test_other_values_and_names_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        assemble(Outer, values)
