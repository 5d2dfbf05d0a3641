"""The model: recurrent layers, a head, and the likelihood of music under both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.errors import UsageError
from musicrnn.nn.attention import SPAN, Attention
from musicrnn.nn.clock import Clock, periods_of
from musicrnn.nn.heads import Bernoulli, make_head
from musicrnn.nn.pitchwise import Pitchwise
from musicrnn.nn.recurrent import Recurrent
from musicrnn.ops import (
    State,
    Work,
    cell_named,
    compiled_generator,
    fitting_threads,
    product_work,
    recurrence_work,
)

if TYPE_CHECKING:
    from musicrnn.ops.kernels.generator import CompiledGenerator

_AT_ONCE = 2**13
"""Frames that attention and pitches hear at once where nothing has to be kept for a gradient."""


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
        embedding: Width of a linear embedding of the frames heard, E; 0 is none.
        tied: Whether the head's matrix is the embedding as well, so that E = H (Press and Wolf 2017; Inan et
            al. 2017).
        connections: ``plain``, ``residual`` or ``skip``; see ``Recurrent``.
        layer_norm: Layer normalisation between layers and before the head.
        dropout: Dropout on every layer's output in training.
        variational_dropout: One dropout mask for all frames.
        weight_dropout: Dropout on the recurrent matrices in training.
        head: Output distribution.
        attention: Heads of attention to earlier frames of the piece; 0 is none.
        attention_size: Width of a head's queries and keys.
        pitchwise: Units of a recurrence that every pitch has for itself, with the same weights; 0 is none.
        channels: Cells of a pitch in a frame, which pitchwise has to know.
        clock: Periods of a clock that the layers hear, in frames, such as ``4,16``; empty is none.
    """

    input_size: int
    cell: str = "gru"
    hidden: int = 128
    layers: int = 1
    peepholes: bool = False
    context: int | None = None
    alpha: float = 0.95
    learn_alpha: bool = False
    embedding: int = 0
    tied: bool = False
    connections: str = "plain"
    layer_norm: bool = False
    dropout: float = 0.0
    variational_dropout: bool = False
    weight_dropout: float = 0.0
    head: str = "bernoulli"
    attention: int = 0
    attention_size: int = 32
    pitchwise: int = 0
    channels: int = 1
    clock: str = ""

    def __post_init__(self) -> None:
        for name in ("dropout", "weight_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        if self.tied and self.embedding not in (0, self.hidden):
            raise UsageError(
                f"a tied embedding must be as wide as a layer, {self.hidden}, got {self.embedding}"
            )
        if self.tied and self.connections == "skip" and self.layers > 1:
            raise UsageError("tied weights need an output as wide as a layer, got skip connections")


class Step(NamedTuple):
    """One frame ahead: parameters of the head, shape (B, ...), and the states of the layers."""

    parameters: Tensor
    state: list[State]


class Scored(NamedTuple):
    """What a model makes of pieces.

    Attributes:
        nats: Negative log-likelihood of every frame, shape (B, T); zero on padding.
        parameters: The head's parameters for every frame, shape (B, T, ...).
        state: States of the layers after the last frame.
    """

    nats: Tensor
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
        embedded = config.hidden if config.tied else config.embedding
        self.embedding = (
            nn.Linear(config.input_size, embedded, bias=False) if embedded and not config.tied else None
        )
        periods = periods_of(config.clock)
        self.clock = Clock(periods) if periods else None
        self.recurrent = Recurrent(
            config.cell,
            (embedded or config.input_size) + sum(periods),
            config.hidden,
            config.layers,
            config.dropout,
            config.peepholes,
            config.context,
            config.alpha,
            config.learn_alpha,
            config.variational_dropout,
            config.weight_dropout,
            config.connections,
            config.layer_norm,
        )
        outputs = self.recurrent.output_size
        self.head = make_head(config.head, outputs, config.input_size)
        self.attention = (
            Attention(outputs, config.attention, config.attention_size) if config.attention else None
        )
        self.pitchwise = (
            Pitchwise(
                config.cell,
                outputs,
                config.input_size // config.channels,
                config.channels,
                config.pitchwise,
                config.attention,
                config.dropout,
                config.variational_dropout,
            )
            if config.pitchwise
            else None
        )

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def fitting_threads(
        self, batch: int, frames: float, training: bool = True
    ) -> AbstractContextManager[None]:
        """Return a context in which torch uses as many threads as B pieces of about T frames are worth.

        Args:
            batch: Number of pieces, B.
            frames: Their usual length, T.
            training: Count attention and the recurrence of every pitch. Scoring counts the layers alone:
                attention's last digits depend on the number of threads, and published figures must not.
        """
        return fitting_threads(self._work(batch, frames, training))

    def _work(self, batch: int, frames: float, training: bool) -> Work:
        """Return the work of a training step on B pieces of about T frames.

        Layers and a head count as one recurrence, for which the thresholds were measured; attention and the
        recurrence of every pitch are added to it.
        """
        config, width = self.config, self.config.input_size
        cell, rows, outputs = cell_named(config.cell), batch * frames, self.recurrent.output_size
        work = recurrence_work(cell, batch, frames, width, config.hidden)
        if training and config.attention:
            size = config.attention * config.attention_size
            work += product_work(rows, outputs, 2 * size)  # queries and keys
            work += product_work(rows * min(frames, SPAN), 1, size + config.attention * width)
        if training and self.pitchwise is not None:
            pitches, units = self.pitchwise.pitches, config.pitchwise
            inputs, brought = self.pitchwise.recurrent.input_size, 2 * config.channels * config.attention
            work += recurrence_work(cell, batch * pitches, frames, inputs, units)
            work += product_work(rows, outputs, units)
            work += product_work(rows * pitches, units, units + brought + units + config.channels)
        return work

    @property
    def is_plain(self) -> bool:
        """Whether it is layers and a head and nothing else; then its state is that of the layers alone."""
        return self.attention is None and self.pitchwise is None and self.clock is None

    def warm_up(self) -> None:
        """Have kernels compiled that training needs, ahead of the clock; leaves no trace."""
        training = self.training
        first = next(self.parameters())
        nats = self.eval().nll(first.new_zeros(1, 2, self.config.input_size))
        nats.sum().backward()  # type: ignore[no-untyped-call]
        self.zero_grad()
        self.train(training)

    def forward(
        self,
        frames: Tensor,
        state: list[State] | None = None,
        mask: Tensor | None = None,
        semitones: Tensor | None = None,
    ) -> tuple[Tensor, list[State]]:
        """Predict, after every frame heard, the one that follows.

        Args:
            frames: Frames heard, shape (B, T, D).
            state: States before the first of them; None is zero.
            mask: True on real frames, shape (B, T). None: all are real.
            semitones: By how much each piece was transposed, shape (B,), which tells pitches their degrees of
                the scale. None: not at all.

        Returns:
            Parameters of the head for the frame after each, shape (B, T, ...), and the states.
        """
        chunk = max(1, _AT_ONCE // len(frames))
        if self.is_plain or torch.is_grad_enabled() or frames.shape[1] <= chunk:
            return self._predict(frames, state, mask, semitones)
        parts = []
        for start in range(0, frames.shape[1], chunk):
            span = slice(start, start + chunk)
            real = None if mask is None else mask[:, span]
            part, state = self._predict(frames[:, span], state, real, semitones)
            parts.append(part)
        assert state is not None
        return torch.cat(parts, 1), state

    def _predict(
        self, frames: Tensor, state: list[State] | None, mask: Tensor | None, semitones: Tensor | None
    ) -> tuple[Tensor, list[State]]:
        """Do what ``forward`` does, for all frames at once."""
        count = len(self.recurrent.layers)
        before, others = (None, []) if state is None else (state[:count], state[count:])
        memory, pitches, time = others or [(), (), ()]
        inputs, attended = self._embedded(frames), None
        if self.clock is not None:
            face, time = self.clock(frames, time)
            inputs = torch.cat([inputs, face], 2)
        hidden, after = self.recurrent(inputs, before, mask)
        parameters = self.head(hidden)
        if self.attention is not None:
            expected = self.head.probabilities(parameters)
            attended, memory = self.attention(hidden, frames, expected, memory)
            parameters = parameters + self.attention.log_odds(hidden, attended)
        if self.pitchwise is not None:
            log_odds, pitches = self.pitchwise(hidden, frames, attended, pitches, semitones)
            parameters = parameters + log_odds
        return parameters, after if self.is_plain else [*after, memory, pitches, time]

    def _embedded(self, frames: Tensor) -> Tensor:
        matrix = self._embedding_matrix()
        return frames if matrix is None else functional.linear(frames, matrix)

    def _embedding_matrix(self) -> Tensor | None:
        """Return what maps frames to the input of the first layer, shape (E, D), if they don't go in bare."""
        if self.config.tied:
            return self.head.linear.weight.t()
        return None if self.embedding is None else self.embedding.weight

    def step(self, frame: Tensor, state: list[State] | None = None) -> Step:
        """Hear one frame, shape (B, D), and predict the next."""
        parameters, state = self(frame[:, None], state)
        return Step(parameters[:, 0], state)

    def compiled_generator(
        self, state: list[State], before: Tensor, pitches: int
    ) -> CompiledGenerator | None:
        """Return a compiled generator of frames, or None for a network that has none.

        Args:
            state: States of the layers, of B pieces.
            before: The last input frames, bytes of shape (B, D).
            pitches: Cells of a frame that mean sounding pitches; as many onsets may follow them.
        """
        is_chain = self.is_plain and self.recurrent.is_chain
        if not isinstance(self.head, Bernoulli) or self.training or not is_chain:
            return None
        layers, linear = self.recurrent.stack(), self.head.linear
        weights = [layer.weights() for layer in layers]
        matrix = self._embedding_matrix()
        if matrix is not None:
            weights[0] = weights[0]._replace(input=weights[0].input @ matrix)
        return compiled_generator(layers[0].cell, weights, linear.weight, linear.bias, state, before, pitches)

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
        return self.score(frames, mask).nats

    def score(
        self,
        frames: Tensor,
        mask: Tensor | None = None,
        heard: Tensor | None = None,
        state: list[State] | None = None,
        semitones: Tensor | None = None,
    ) -> Scored:
        """Score frames; see ``nll``.

        Args:
            frames: Binary frames, shape (B, T, D).
            mask: True on real frames, shape (B, T). None: all are real.
            heard: What is heard before each of them, shape (B, T, D). None: zeros, then the frames.
            state: States before the first frame; None is zero.
            semitones: By how much each piece was transposed, shape (B,). None: not at all.
        """
        if heard is None:
            heard = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)
        parameters, state = self(heard, state, semitones=semitones)
        nats = -self.head.log_likelihood(parameters, frames)
        return Scored(nats if mask is None else nats * mask, parameters, state)


def build(config: ModelConfig, data: Mapping[str, Any] | None = None) -> MusicRNN:
    """Return a freshly drawn network for ``config``.

    Raises:
        UsageError: An unknown cell or head, or a size or rate out of its range.
    """
    return MusicRNN(config, data)
