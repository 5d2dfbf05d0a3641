"""The output distributions: each head maps hidden states to the distribution of the next frame.

A head is one file behind one protocol, and ``HEADS`` is the table of them.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from musicrnn.errors import UsageError
from musicrnn.nn.heads.bernoulli import Bernoulli


class Head(Protocol):
    """What every output distribution can do."""

    def __call__(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., H) to the distribution's parameters."""

    def log_likelihood(self, parameters: Tensor, frames: Tensor) -> Tensor:
        """Return log p(frame) in nats, shape (...), for frames of shape (..., D)."""

    def probabilities(self, parameters: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the probability that each cell is one, shape (..., D)."""

    def draw(self, parameters: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        """Draw frames (..., D) from uniform random numbers of that shape in [0, 1)."""

    def start_at(self, rates: Tensor) -> None:
        """Start training from the frequencies of the training data, shape (D,)."""


HEADS = {"bernoulli": Bernoulli}
"""The heads by the names that ``--head`` takes."""


def make_head(name: str, hidden_size: int, width: int) -> Bernoulli:
    """Return a new head of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in HEADS:
        raise UsageError(f"head must be one of {', '.join(HEADS)}, got {name!r}")
    return HEADS[name](hidden_size, width)


__all__ = ["HEADS", "Bernoulli", "Head", "make_head"]
