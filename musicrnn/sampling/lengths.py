"""Length, tempo and metre of a new piece: as asked for, or as the primer or the corpus has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicrnn.errors import UsageError

if TYPE_CHECKING:
    from musicrnn.music import Layout, Score

BARS = 16.0
"""Length of a piece, unless another is asked for."""

TEMPO = 120.0
"""Quarter notes per minute, where neither the primer nor the corpus says."""

SLOWEST, FASTEST = 4, 1000
"""Bounds of the tempo, quarter notes per minute."""

UNITS = ("bars", "beats", "frames", "seconds")


@dataclass(frozen=True)
class Length:
    """A length in one of ``UNITS``.

    Raises:
        UsageError: It isn't above 0 and below 1e9.
    """

    value: float = BARS
    unit: str = "bars"

    def __post_init__(self) -> None:
        if not 0 < self.value < 1e9:
            raise UsageError(f"--{self.unit}: expected a length above 0 and below 1e9, found {self.value}")

    @classmethod
    def of(cls, **lengths: float | None) -> Length:
        """Return the length that is given, by unit, or ``BARS`` if none is.

        Raises:
            UsageError: Several are given.
        """
        given = {unit: value for unit, value in lengths.items() if value is not None}
        if len(given) > 1:
            expected, found = (", ".join(f"--{unit}" for unit in units) for units in (UNITS, given))
            raise UsageError(f"expected one of {expected}; found {found}")
        return cls(next(iter(given.values())), next(iter(given))) if given else cls()

    def frames(self, resolution: int, tempo: float, metre: tuple[int, int]) -> int:
        """Return the length in frames, at least one.

        Args:
            resolution: Frames per quarter note.
            tempo: Quarter notes per minute.
            metre: Beats in a bar, and the note value of a beat (4 is a quarter).
        """
        beat = 4 / metre[1]
        quarters = {
            "bars": beat * metre[0],
            "beats": beat,
            "frames": 1 / resolution,
            "seconds": tempo / 60,
        }
        return max(1, round(float(self.value) * quarters[self.unit] * resolution))


def check_tempo(tempo: float | None) -> None:
    """Refuse a tempo that was asked for and can't be had.

    Raises:
        UsageError: It is out of bounds.
    """
    if tempo is not None and not SLOWEST <= tempo <= FASTEST:
        raise UsageError(f"--tempo: expected {SLOWEST} to {FASTEST} quarter notes per minute, found {tempo}")


def choose_tempo(
    asked: float | None, layout: Layout, primer: Score | None, facts: Mapping[str, Any]
) -> float:
    """Return quarter notes per minute: as asked, that of frames in seconds, the primer's or the corpus's.

    Args:
        asked: The tempo that was asked for.
        layout: What the model's frames mean.
        primer: The music that is continued.
        facts: The model's facts about its corpus.
    """
    tempo = asked or layout.tempo or (primer.main_tempo() if primer else None) or facts.get("tempo") or TEMPO
    return float(min(max(tempo, SLOWEST), FASTEST))


def choose_metre(primer: Score | None, facts: Mapping[str, Any]) -> tuple[int, int]:
    """Return the metre of the primer, or of the corpus, or 4/4; see ``Length.frames``."""
    beats, value = (primer.main_metre() if primer else None) or facts.get("metre") or (4, 4)
    return int(beats), int(value)
