"""The output layer: log-odds that are affine in the hidden state, and the head that is built on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musicrnn.nn.heads.distribution import Features, FeatureSizes, FrameDistribution, Head


class OutputLayer(nn.Module):
    """Maps hidden states to log-odds, and features to distributions.

    Args:
        head: The head.
        sizes: Sizes of the features.
    """

    def __init__(self, head: Head, sizes: FeatureSizes) -> None:
        super().__init__()
        self.linear = nn.Linear(sizes.hidden, sizes.pitches * sizes.channels)
        self.distribution = head

    def forward(self, features: Features) -> FrameDistribution:
        """Return the distribution of the frame after each input frame."""
        return self.distribution(features)

    def log_odds(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., H) to the log-odds that they alone give, shape (..., D)."""
        log_odds: Tensor = self.linear(hidden)
        return log_odds

    @property
    def noise_size(self) -> int:
        """Random numbers that a sample of one frame takes."""
        return self.distribution.noise_size

    @property
    def matrix(self) -> Tensor:
        """The matrix from hidden states to log-odds, shape (D, H)."""
        return self.linear.weight

    def independent_cells(self) -> tuple[Tensor, Tensor] | None:
        """Return matrix (D, H) and bias (D,) if cells are independent sigmoids of these log-odds."""
        return (self.linear.weight, self.linear.bias) if self.distribution.independent else None

    def start_at(self, rates: Tensor) -> None:
        """Start the biases at the log-odds of the training frequencies, shape (D,), kept inside (0, 1)."""
        with torch.no_grad():
            self.linear.bias.copy_(torch.logit(rates.clamp(1e-4, 1 - 1e-4)))
