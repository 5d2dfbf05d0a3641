"""Position features: where in the bar, and in the phrase, the next frame falls.

Frames are counted from the first frame of the piece. Where pieces keep their metre, the count gives the beat,
up to an upbeat that the recurrence can learn to allow for; on quarter-note frames 4 is a bar and 16 a phrase
of common time.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.errors import UsageError
from musicrnn.ops import State


class PositionEncoding(nn.Module):
    """For each period, a one-hot vector of the position of the next frame in it.

    Args:
        periods: Lengths in frames.

    Attributes:
        size: Width of the features.
    """

    def __init__(self, periods: tuple[int, ...]) -> None:
        super().__init__()
        self.periods, self.size = periods, sum(periods)

    def forward(self, inputs: Tensor, state: State = ()) -> tuple[Tensor, State]:
        """Count frames.

        Args:
            inputs: Input frames, shape (B, T, D).
            state: Number of input frames before, shape (B, 1); empty: none.

        Returns:
            Features of the frame after each, shape (B, T, size), and the number of input frames so far.
        """
        batch, count, _ = inputs.shape
        before = torch.zeros(batch, 1, dtype=torch.long, device=inputs.device) if not state else state[0]
        number = before + torch.arange(count, device=inputs.device)
        features = [functional.one_hot(number % period, period) for period in self.periods]
        return torch.cat(features, 2).to(inputs.dtype), (before + count,)


def periods_of(text: str) -> tuple[int, ...]:
    """Read periods, such as ``4,16``.

    Raises:
        UsageError: They aren't whole numbers from 2 to 1024 with commas between.
    """
    if not re.fullmatch(r"(\d{1,4}(,\d{1,4})*)?", text):
        raise UsageError(f"clock must be periods in frames, such as 4,16, got {text!r}")
    periods = tuple(int(part) for part in text.split(",") if part)
    if not all(2 <= period <= 1024 for period in periods):
        raise UsageError(f"clock must have periods from 2 to 1024 frames, got {text!r}")
    return periods
