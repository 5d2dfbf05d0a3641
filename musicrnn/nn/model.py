"""The model: recurrent layers, a head, and the likelihood of music under both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from musicrnn.errors import UsageError
from musicrnn.nn.heads import Bernoulli, make_head
from musicrnn.nn.input_noise import flip
from musicrnn.nn.recurrent import Recurrent
from musicrnn.ops import State, Streams, cell_named, fitting_threads, streams


@dataclass(frozen=True)
class ModelConfig:
    """Everything that determines a network's shape.

    Attributes:
        input_size: Width of a frame, D.
        cell: Recurrent unit.
        hidden: Hidden units of each layer, H.
        layers: Number of layers.
        peepholes: Peephole connections; lstm only.
        context: Slow context units among the units of each layer; scrn only, None is a quarter.
        alpha: How much of the context stays from frame to frame; scrn only.
        learn_alpha: Whether alpha is learned; scrn only.
        dropout: Dropout on every layer's output in training.
        input_noise: Probability that a cell of the frames heard is flipped in training.
        head: Output distribution.
    """

    input_size: int
    cell: str = "gru"
    hidden: int = 128
    layers: int = 1
    peepholes: bool = False
    context: int | None = None
    alpha: float = 0.95
    learn_alpha: bool = False
    dropout: float = 0.0
    input_noise: float = 0.0
    head: str = "bernoulli"

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not 0 <= self.input_noise <= 0.5:
            raise UsageError(f"input_noise must be 0 to 0.5, got {self.input_noise}")


class Step(NamedTuple):
    """One frame ahead: parameters of the head, shape (B, ...), and the states of the layers."""

    parameters: Tensor
    state: list[State]


class MusicRNN(nn.Module):
    """A recurrent network that gives every next frame a probability.

    Args:
        config: The network's shape.
        data: What the frames mean (layout, tempo, metre, name of the corpus), as JSON values. The network
            never reads it; it travels with the weights for those who evaluate and sample.
    """

    def __init__(self, config: ModelConfig, data: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.data = dict(data or {})
        self.recurrent = Recurrent(
            config.cell,
            config.input_size,
            config.hidden,
            config.layers,
            config.dropout,
            config.peepholes,
            config.context,
            config.alpha,
            config.learn_alpha,
        )
        self.head = make_head(config.head, config.hidden, config.input_size)

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def fitting_threads(self, batch: int, frames: float) -> AbstractContextManager[None]:
        """Return a context in which torch uses as many threads as B pieces of about T frames pay for."""
        config = self.config
        return fitting_threads(cell_named(config.cell), batch, frames, config.input_size, config.hidden)

    def warm_up(self) -> None:
        """Have kernels compiled that training needs, ahead of the clock; leaves no trace."""
        training = self.training
        first = next(self.parameters())
        nats = self.eval().nll(first.new_zeros(1, 2, self.config.input_size))
        nats.sum().backward()  # type: ignore[no-untyped-call]
        self.zero_grad()
        self.train(training)

    def forward(
        self, frames: Tensor, state: list[State] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Predict, after every frame heard, the one that follows.

        Args:
            frames: Frames heard, shape (B, T, D).
            state: States before the first of them; None is zero.
            mask: True on real frames, shape (B, T). None: all are real.

        Returns:
            Parameters of the head for the frame after each, shape (B, T, ...), and the states.
        """
        hidden, state = self.recurrent(frames, state, mask)
        return self.head(hidden), state

    def step(self, frame: Tensor, state: list[State] | None = None) -> Step:
        """Hear one frame, shape (B, D), and predict the next."""
        parameters, state = self(frame[:, None], state)
        return Step(parameters[:, 0], state)

    def streams(self, state: list[State], before: Tensor, pitches: int) -> Streams | None:
        """Return what draws frames compiled, or None if this network can't be.

        Args:
            state: States of the layers, of B pieces.
            before: The frames heard last, bytes of shape (B, D).
            pitches: How many cells of a frame sound; the others say which ones start.
        """
        if not isinstance(self.head, Bernoulli) or self.training:
            return None
        layers, linear = self.recurrent.stack(), self.head.linear
        weights = [layer.weights() for layer in layers]
        return streams(layers[0].cell, weights, linear.weight, linear.bias, state, before, pitches)

    def nll(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of every frame given the ones before it.

        The first frame is predicted from a zero input. Frames are causal, so padding after the end of a
        piece doesn't touch its real frames.

        Args:
            frames: Binary frames, shape (B, T, D).
            mask: True on real frames, shape (B, T). None: all are real.

        Returns:
            Nats, shape (B, T); zero on padding.
        """
        return self.score(frames, mask)[0]

    def score(self, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``nll`` together with the head's parameters for every frame, shape (B, T, ...)."""
        heard = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)
        if self.training and self.config.input_noise:
            heard = flip(heard, self.config.input_noise)
        parameters, _ = self(heard)
        nats = -self.head.log_likelihood(parameters, frames)
        return (nats if mask is None else nats * mask), parameters


def build(config: ModelConfig, data: Mapping[str, Any] | None = None) -> MusicRNN:
    """Return a freshly drawn network for ``config``.

    Raises:
        UsageError: An unknown cell or head, or a size or rate out of its range.
    """
    return MusicRNN(config, data)
