"""Independent sigmoids: every cell of the frame is a Bernoulli variable of its own.

References:
    Chung et al. 2014, arXiv:1412.3555, section 4.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musicrnn.nn.heads.distribution import Features, FeatureSizes
from musicrnn.ops import bernoulli_nll


class Bernoulli(nn.Module):
    """The head without parameters of its own: it takes the network's log-odds.

    A pitch has one random number per frame, shared by its channels. So every cell has exactly the probability
    that the model gives it, and an onset that is less probable than its sounding note is only sampled
    together with it: with a number for each, a new note would start twice as often as the model says, because
    a sampled onset whose frame bit is off counts as sounding.

    Args:
        sizes: Sizes of the features.
    """

    independent = True

    def __init__(self, sizes: FeatureSizes) -> None:
        super().__init__()
        self.noise_size = sizes.pitches

    def forward(self, features: Features) -> IndependentCells:
        """Return the distribution of the frame after each input frame."""
        return IndependentCells(features.log_odds)


class IndependentCells:
    """The distribution of frames whose cells are independent.

    Args:
        log_odds: Shape (B, T, D).
    """

    def __init__(self, log_odds: Tensor) -> None:
        self.log_odds = log_odds

    def log_prob(self, frames: Tensor) -> Tensor:
        """See ``FrameDistribution``."""
        return -bernoulli_nll(self.log_odds, frames)

    def marginals(self, temperature: float = 1.0) -> Tensor:
        """See ``FrameDistribution``."""
        return torch.sigmoid(self.log_odds / temperature)

    def sample(self, noise: Tensor, given: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """See ``FrameDistribution``; a cell is one where the number of its pitch is below its probability."""
        channels = self.log_odds.shape[-1] // noise.shape[-1]
        numbers = torch.cat([noise] * channels, 2)
        cells = (numbers < self.marginals(temperature)).to(self.log_odds.dtype)
        return cells if given is None else torch.where(given < 0, cells, given.to(cells.dtype))
