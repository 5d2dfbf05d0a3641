"""A head that the program doesn't have: Bernoulli cells that share one binary factor, which is summed out.

    p(x) = sum over k in {0, 1} of p(k) prod over cells d of Bernoulli(x_d; sigmoid(log_odds_d + k loading_d))

The tests add this file to a copy of the program.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.nn.heads.distribution import Features, FeatureSizes


class SharedFactor(nn.Module):
    """Makes the distribution from the network's log-odds; the factor's log-odds are affine in its state."""

    independent = False

    def __init__(self, sizes: FeatureSizes) -> None:
        super().__init__()
        self.noise_size = sizes.pitches + 1
        self.factor = nn.Linear(sizes.hidden, 1)
        self.loading = nn.Parameter(0.5 * torch.randn(sizes.pitches * sizes.channels))

    def forward(self, features: Features) -> FactorCells:
        return FactorCells(features.log_odds, self.factor(features.hidden), self.loading)


class FactorCells:
    def __init__(self, log_odds: Tensor, factor: Tensor, loading: Tensor) -> None:
        self.cells = torch.stack([log_odds, log_odds + loading])  # (2, B, T, D)
        self.prior = torch.stack([-factor, factor])[..., 0]  # (2, B, T), log-odds of each value

    def log_prob(self, frames: Tensor) -> Tensor:
        return self._joint(self.cells, self.prior, frames, torch.ones_like(frames)).logsumexp(0)

    def marginals(self, temperature: float = 1.0) -> Tensor:
        weights = torch.sigmoid(self.prior / temperature)[..., None]
        return (weights * torch.sigmoid(self.cells / temperature)).sum(0)

    def sample(self, noise: Tensor, given: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        cells, prior = self.cells / temperature, self.prior / temperature
        fixed = torch.full_like(cells[0], -1) if given is None else given.to(cells.dtype)
        joint = self._joint(cells, prior, fixed.clamp(min=0), (fixed >= 0).to(cells.dtype))
        value = noise[..., -1] < joint.softmax(0)[1]
        chosen = torch.where(value[..., None], cells[1], cells[0])
        numbers = noise[..., :-1].repeat(1, 1, chosen.shape[-1] // (noise.shape[-1] - 1))
        return torch.where(fixed < 0, (numbers < torch.sigmoid(chosen)).to(cells.dtype), fixed)

    @staticmethod
    def _joint(cells: Tensor, prior: Tensor, frames: Tensor, counted: Tensor) -> Tensor:
        """Return log p(value, counted cells), shape (2, B, T)."""
        targets = frames.expand_as(cells)
        nats = functional.binary_cross_entropy_with_logits(cells, targets, reduction="none")
        return functional.logsigmoid(prior) - (nats * counted).sum(-1)
