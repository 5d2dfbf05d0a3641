"""A clock: where in the bar, and in the phrase, the next frame falls.

The frames of a piece are counted from its first, which is known when the next is predicted. Where pieces keep
their metre, the count tells the beat, up to an upbeat that the recurrence can learn to allow for; on
quarter-note frames 4 is a bar and 16 a phrase of common time.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.errors import UsageError
from musicrnn.ops import State


class Clock(nn.Module):
    """For each period, a one at the place of the next frame in it.

    Args:
        periods: Lengths of what is counted, in frames.

    Attributes:
        size: Width of what it says.
    """

    def __init__(self, periods: tuple[int, ...]) -> None:
        super().__init__()
        self.periods, self.size = periods, sum(periods)

    def forward(self, frames: Tensor, state: State = ()) -> tuple[Tensor, State]:
        """Count frames.

        Args:
            frames: Frames heard, shape (B, T, D).
            state: Frames heard before, shape (B, 1); empty: none.

        Returns:
            What the clock says of the frame after each, shape (B, T, size), and the frames heard so far.
        """
        batch, count, _ = frames.shape
        before = torch.zeros(batch, 1, dtype=torch.long, device=frames.device) if not state else state[0]
        number = before + torch.arange(count, device=frames.device)
        faces = [functional.one_hot(number % period, period) for period in self.periods]
        return torch.cat(faces, 2).to(frames.dtype), (before + count,)


def periods_of(text: str) -> tuple[int, ...]:
    """Read the periods of a clock, such as ``4,16``.

    Raises:
        UsageError: They aren't whole numbers from 2 to 1024 with commas between.
    """
    if not re.fullmatch(r"(\d{1,4}(,\d{1,4})*)?", text):
        raise UsageError(f"clock must be periods in frames, such as 4,16, got {text!r}")
    periods = tuple(int(part) for part in text.split(",") if part)
    if not all(2 <= period <= 1024 for period in periods):
        raise UsageError(f"clock must have periods from 2 to 1024 frames, got {text!r}")
    return periods
