"""Output distributions: each head makes the distribution of the next frame of the network's features.

A head is a file here with a class, see ``Head``, and a line in ``HEADS``.
"""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor, nn

from musicrnn.errors import UsageError
from musicrnn.nn.heads.distribution import Features, FeatureSizes, FrameDistribution, Head, marginals_of

HEADS = {
    "bernoulli": "bernoulli.Bernoulli",
}
"""The heads by the names that ``--head`` takes: the file of each, and the class in it."""


class OutputLayer(nn.Module):
    """Log-odds that are affine in the hidden state, and the head that is built on them.

    Args:
        head: Name of the head.
        sizes: Sizes of the features.

    Raises:
        UsageError: There is no such head.
    """

    def __init__(self, head: str, sizes: FeatureSizes) -> None:
        super().__init__()
        if head not in HEADS:
            raise UsageError(f"head must be one of {', '.join(HEADS)}, got {head!r}")
        self.linear = nn.Linear(sizes.hidden, sizes.pitches * sizes.channels)
        module, _, name = HEADS[head].partition(".")
        self.distribution: Head = getattr(import_module(f"{__name__}.{module}"), name)(sizes)
        self.noise_size = self.distribution.noise_size

    def forward(self, features: Features) -> FrameDistribution:
        """Return the distribution of the frame after each input frame."""
        return self.distribution(features)

    def log_odds(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., H) to the log-odds that they alone give, shape (..., D)."""
        log_odds: Tensor = self.linear(hidden)
        return log_odds

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


__all__ = ["HEADS", "FeatureSizes", "Features", "FrameDistribution", "Head", "OutputLayer", "marginals_of"]
