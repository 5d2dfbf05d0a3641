"""Settings: declared once, flat outside and grouped inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from musicrnn.errors import UsageError
from musicrnn.settings import assemble, check, declarations, flatten, setting


@dataclass(frozen=True)
class Inner:
    """Inner settings.

    Attributes:
        size: Size, described
            in two lines.
        name: Name.
    """

    size: int = setting("shape", 3, "[1, 9]")
    name: str = setting("shape", "a", choices=("a", "b"))

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Outer:
    """Outer settings.

    Attributes:
        inner: Others.
        rate: Rate.
        flag: Flag.

    Raises:
        UsageError: No.
    """

    inner: Inner = field(default_factory=Inner)
    rate: float | None = setting("speed", None, "(0, 1)", usual="none")
    flag: bool = setting("speed", False)

    def __post_init__(self) -> None:
        check(self)


def test_declarations_are_flat_in_order_and_described_by_docstrings() -> None:
    found = declarations(Outer)
    assert list(found) == ["size", "name", "rate", "flag"]
    assert [entry.group for entry in found.values()] == ["shape"] * 2 + ["speed"] * 2
    assert [entry.type for entry in found.values()] == [int, str, float, bool]
    assert [entry.text for entry in found.values()] == [
        "Size, described in two lines.",
        "Name.",
        "Rate.",
        "Flag.",
    ]


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
