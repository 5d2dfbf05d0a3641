"""The contract between networks, heads and those who score or sample frames.

A network computes ``Features`` of the next frame; a head makes a ``FrameDistribution`` of them; evaluation
and sampling ask the distribution and never the head.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

MARGINAL_SAMPLES = 100
"""Samples from which marginals are estimated where a distribution doesn't have them."""


class Features(NamedTuple):
    """What a network knows of the frame after each of T input frames.

    Attributes:
        hidden: Output of the recurrent layers, shape (B, T, H).
        log_odds: Log-odds of every cell, the sum of what layers, attention and pitch recurrence contribute,
            shape (B, T, D).
        inputs: The input frames, shape (B, T, D).
        retrieved: Probabilities of every cell that each attention head retrieved, shape (B, K, T, D); None
            without attention.
        pitches: Outputs of the pitch recurrence, shape (B, P, T, U); None without one.
    """

    hidden: Tensor
    log_odds: Tensor
    inputs: Tensor
    retrieved: Tensor | None = None
    pitches: Tensor | None = None

    def last(self) -> Features:
        """Return the features of the frame after the last input frame, T = 1."""
        retrieved, pitches = (None if tensor is None else tensor[:, :, -1:] for tensor in self[3:])
        return Features(self.hidden[:, -1:], self.log_odds[:, -1:], self.inputs[:, -1:], retrieved, pitches)

    def rows(self, rows: Tensor) -> Features:
        """Return the features of some pieces; an index may occur several times."""
        retrieved, pitches = (None if tensor is None else tensor[rows] for tensor in self[3:])
        return Features(self.hidden[rows], self.log_odds[rows], self.inputs[rows], retrieved, pitches)


class FeatureSizes(NamedTuple):
    """The sizes of features, from which a head is made.

    Attributes:
        hidden: H.
        pitches: P.
        channels: Cells of a pitch, C; a frame has D = C*P cells, channel by channel.
        attention: Attention heads, K; 0 without attention.
        pitch_units: Units of the pitch recurrence, U; 0 without one.
    """

    hidden: int
    pitches: int
    channels: int = 1
    attention: int = 0
    pitch_units: int = 0


class FrameDistribution(Protocol):
    """The distribution of frames, for B pieces and T frames each."""

    def log_prob(self, frames: Tensor) -> Tensor:
        """Return log p(frame) in nats, shape (B, T), of binary frames (B, T, D).

        All frames are scored in one pass; a distribution that factorises over the cells of a frame takes the
        earlier ones from ``frames``.
        """

    def sample(self, noise: Tensor, given: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Sample binary frames, shape (B, T, D).

        Args:
            noise: Uniform random numbers in [0, 1), shape (B, T, N) with N as the head's ``noise_size``.
            given: Cells that are fixed at 0 or 1, negative where a cell is to be sampled, shape (B, T, D).
                None: all cells are sampled.
            temperature: Divides log-odds.
        """

    def marginals(self, temperature: float = 1.0) -> Tensor | None:
        """Return the probability of a one in every cell, shape (B, T, D); None if only samples can tell."""


class Head(Protocol):
    """A module that makes distributions; ``__init__(sizes: FeatureSizes)``.

    Attributes:
        noise_size: Random numbers that a sample of one frame takes, N.
        independent: Whether the distribution is independent sigmoids of ``features.log_odds`` and nothing
            else, which is what compiled generation knows.
    """

    noise_size: int
    independent: bool

    def __call__(self, features: Features) -> FrameDistribution:
        """Return the distribution of the frame after each input frame."""


def marginals_of(
    distribution: FrameDistribution,
    noise_shape: tuple[int, int, int],
    device: torch.device | str = "cpu",
    temperature: float = 1.0,
) -> Tensor:
    """Return marginals, estimated from ``MARGINAL_SAMPLES`` samples where a distribution has none.

    Estimates add half a count to either outcome, so that none is 0 or 1.

    Args:
        distribution: For B pieces and T frames.
        noise_shape: (B, T, N); see ``FrameDistribution.sample``.
        device: Where the distribution is.
        temperature: Divides log-odds.

    Returns:
        Probabilities, shape (B, T, D).
    """
    exact = distribution.marginals(temperature)
    if exact is not None:
        return exact
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(())
    for _ in range(MARGINAL_SAMPLES):
        noise = torch.rand(noise_shape, generator=generator).to(device)
        total = total + distribution.sample(noise, temperature=temperature)
    return (total + 0.5) / (MARGINAL_SAMPLES + 1)
