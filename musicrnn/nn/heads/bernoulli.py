"""Independent sigmoids: every cell of the frame is a Bernoulli variable of its own.

References:
    Chung et al. 2014, arXiv:1412.3555, section 4.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musicrnn.ops import bernoulli_nll


class Bernoulli(nn.Module):
    """Log-odds of every cell as an affine function of the hidden state.

    Args:
        hidden_size: Width of the hidden state, H.
        width: Cells in a frame, D.
    """

    def __init__(self, hidden_size: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., H) to log-odds (..., D)."""
        logits: Tensor = self.linear(hidden)
        return logits

    def log_likelihood(self, parameters: Tensor, frames: Tensor) -> Tensor:
        """Return log p(frame) in nats, shape (...), from log-odds and binary frames of shape (..., D)."""
        return -bernoulli_nll(parameters, frames)

    def probabilities(self, parameters: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the probability that each cell is one, shape (..., D); temperature divides the log-odds."""
        return torch.sigmoid(parameters / temperature)

    def draw(self, parameters: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        """Return binary frames (..., D): a cell is one where its uniform number is below its probability."""
        return (uniforms < self.probabilities(parameters, temperature)).to(parameters.dtype)

    def start_at(self, rates: Tensor) -> None:
        """Start the biases at the log-odds of the training frequencies, shape (D,), kept inside (0, 1)."""
        with torch.no_grad():
            self.linear.bias.copy_(torch.logit(rates.clamp(1e-4, 1 - 1e-4)))
