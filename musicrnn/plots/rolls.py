"""Piano rolls: time to the right in quarter notes, pitch upwards with C4 = MIDI 60.

A note is a bar that ends a little early, so a repeated note looks different from a held one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musicrnn.errors import RollError
from musicrnn.music.pianoroll import PianoRoll
from musicrnn.music.tonality import pitch_name
from musicrnn.plots.figure import COLOURS, FAINT, label_octaves, saved_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_PANELS = 16
_BLACK_KEY = "#f4f6f8"


def plot_rolls(rolls: Sequence[tuple[str, PianoRoll]], path: Path | str) -> None:
    """Plot 1 to ``MAX_PANELS`` piano rolls with their titles, one below another, on common axes."""
    if not 1 <= len(rolls) <= MAX_PANELS:
        raise RollError(f"expected 1 to {MAX_PANELS} piano rolls in a picture, found {len(rolls)}")
    with saved_figure(path, 10, 2.5 * max(len(rolls), 1.2)) as figure:
        plot_panels(figure.subplots(len(rolls), sharex=True, squeeze=False)[:, 0], rolls)


def plot_panels(panels: Iterable[Axes], rolls: Sequence[tuple[str, PianoRoll]]) -> None:
    """Plot each roll, below its title, on the axes of its panel; the panels share the time axis."""
    from matplotlib.ticker import MultipleLocator

    *_, lowest = panels = list(panels)
    low, high = pitch_span([roll for _, roll in rolls])
    quarters = max(roll.quarters for _, roll in rolls)
    for index, (axes, (title, roll)) in enumerate(zip(panels, rolls, strict=True)):
        _plot_panel(axes, roll, low - 1, high + 1, quarters, COLOURS[index % 2])
        set_title(axes, title)
    lowest.set_xlim(0, quarters)
    step = 2 ** max(0, math.ceil(math.log2(quarters / 16)))  # at most 17 ticks
    lowest.xaxis.set_major_locator(MultipleLocator(step))
    tempos = {roll.layout.tempo for _, roll in rolls}
    nominal = tempos.pop() if len(tempos) == 1 else None
    lowest.set_xlabel(f"quarter notes at {nominal:g} per minute" if nominal else "quarter notes")


def pitch_span(rolls: Sequence[PianoRoll]) -> tuple[int, int]:
    """Return the lowest and highest pitch to show: those that sound, and at least an octave."""
    used = [roll.layout.low + np.flatnonzero(roll.sounding.any(axis=0)) for roll in rolls]
    pitches = np.concatenate(used)
    low, high = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 71)
    while high - low < 11:
        low, high = max(0, low - 1), min(127, high + 1)
    return low, high


def _plot_panel(axes: Axes, roll: PianoRoll, low: int, high: int, quarters: float, colour: str) -> None:
    from matplotlib.collections import PolyCollection

    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            axes.axhline(pitch - 0.5, color=FAINT, linewidth=0.8, zorder=0.2)
        elif "#" in pitch_name(pitch):
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=_BLACK_KEY, linewidth=0, zorder=0.1)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    if roll.quarters < quarters:  # no staff beyond the end of the roll
        axes.axvspan(roll.quarters, quarters, color="white", linewidth=0, zorder=0.9)
    gap, notes = quarters / 700, roll.notes()
    left, right = (notes[edge] / roll.layout.resolution for edge in ("start", "end"))
    # A bar is at least three quarters as long as its note, and long enough to be seen in long pieces.
    right = np.maximum(right - np.minimum(gap, (right - left) / 4), left + gap / 2)
    bottom, top = notes["pitch"] - 0.45, notes["pitch"] + 0.45
    corners = [(left, bottom), (left, top), (right, top), (right, bottom)]
    bars: Any = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
    axes.add_collection(PolyCollection(bars, facecolor=colour, linewidth=0, gid="notes"), autolim=False)
    axes.set_ylim(low - 0.5, high + 0.5)
    label_octaves(axes.yaxis, low, high, (0,) if high - low > 20 else (0, 4, 7))
