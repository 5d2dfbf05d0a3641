"""Plain text, on a terminal and elsewhere: labelled lines, tables, and numbers with their units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

TABLE_WIDTH = 100


def labelled(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Return a text for each row: its label in ``width`` columns, then its lines."""
    return [f"{label:{width}}{text}".replace("\n", "\n" + " " * width).rstrip() for label, text in rows]


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: One line or several, so that a column of short cells is narrow.
        cells: A text for each row.
        align: ``<`` for texts, ``>`` for numbers.
    """

    title: str
    cells: Sequence[str]
    align: str = ">"


def figures(title: str, values: Iterable[float | None], form: str = "") -> Column:
    """Return a column of numbers in a format; a dash stands for None."""
    return Column(title, ["-" if value is None else format(value, form) for value in values])


def table(columns: Sequence[Column], width: int = TABLE_WIDTH) -> str:
    """Return a table; columns that don't fit follow below, beside the first column again.

    Args:
        columns: At least one; the first one names the rows.
        width: Characters of a line, unless the first column and one other need more.
    """
    height = max(column.title.count("\n") for column in columns)
    filled = []
    for title, cells, align in columns:
        lines = [*("\n" * (height - title.count("\n")) + title).split("\n"), *cells]
        longest = max(map(len, lines))
        filled.append([f"{line:{align}{longest}}" for line in lines])
    first, *others = filled
    blocks = [[first]]
    for column in others:
        if len(blocks[-1]) > 1 and sum(2 + len(each[0]) for each in [*blocks[-1], column]) - 2 > width:
            blocks.append([first])
        blocks[-1].append(column)
    texts = ("\n".join("  ".join(row).rstrip() for row in zip(*block, strict=True)) for block in blocks)
    return "\n\n".join(text.lstrip("\n") for text in texts)


def number(value: float) -> str:
    """Return a number with thousands separators and at most 3 digits after the point."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def count(value: float, noun: str) -> str:
    """Return a number with its noun: ``1 piece``, ``2 pieces``."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share in percent, with two digits after the point near 0 and 100."""
    value = 100 * share
    return f"{value:.0f}%" if value in (0, 100) or 10 <= value < 99 else f"{value:.2f}%"


def duration(seconds: float) -> str:
    """Return a time with its units: ``5 h 22 min``, ``2 min 5 s``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.1f} s"


def setting(value: Any) -> str:
    """Return a setting or figure of a run as text; a dash stands for None."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value) if abs(value) >= 1 else f"{value:g}"
    return "-" if value is None else str(value)
