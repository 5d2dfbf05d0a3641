"""What tests of plots share: a small roll, and what an SVG picture shows."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from musicrnn.music.pianoroll import Layout, PianoRoll

SVG = "{http://www.w3.org/2000/svg}"


def roll_of(frames: int, *notes: tuple[int, int, int], layout: Layout | None = None) -> PianoRoll:
    """A roll of (first frame, frame after the last, pitch)."""
    layout = layout or Layout()
    cells = np.zeros((frames, layout.width), np.uint8)
    for start, end, pitch in notes:
        cells[start:end, pitch - layout.low] = 1
        cells[start, layout.pitches + pitch - layout.low] = 1
    return PianoRoll(cells, layout)


CHORD = roll_of(16, (0, 16, 60), (0, 8, 64), (8, 16, 64), (4, 12, 67))


def bars_in(path: Path) -> list[int]:
    """How many bars each panel of an SVG picture has."""
    groups = ElementTree.parse(path).iter(f"{SVG}g")
    return [len(list(group.iter(f"{SVG}path"))) for group in groups if group.get("id") == "notes"]


def texts_in(path: Path) -> list[str]:
    """The texts of an SVG picture, which matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text())


def coloured_runs(row: np.ndarray) -> int:
    """Number of runs of colour, neither grey nor white, a row of pixels has."""
    return sum(1 for coloured, _ in groupby(np.ptp(row[:, :3], axis=1) > 0.3) if coloured)
