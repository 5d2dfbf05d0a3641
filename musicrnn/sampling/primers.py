"""Primers: music that the model continues."""

from __future__ import annotations

from pathlib import Path

from musicrnn.errors import MidiError, about
from musicrnn.music import Layout, PianoRoll, Score, rasterize, read_score


def read_primer(source: Path | bytes, layout: Layout, name: str) -> tuple[PianoRoll, Score]:
    """Read a piece of music as a primer for models of a layout.

    Args:
        source: The file, or its bytes.
        layout: The layout of the model's frames.
        name: What to call the file in errors.

    Returns:
        The primer on the model's grid, and the score it was read from.

    Raises:
        FileError: The file can't be read.
        MidiError: It isn't music, or has no notes in the model's pitch range.
        RollError: It is too long.
    """
    score = read_score(source, name)
    with about(name):
        roll = rasterize(score, layout)
    if not roll.sounding.any():
        raise MidiError(f"{name}: expected notes in {layout.low}:{layout.high}, found none", "no-notes")
    return roll, score
