"""The model: recurrent layers, what is built around them, a head, and the likelihood of music."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.errors import UsageError
from musicrnn.nn.attention import Attention
from musicrnn.nn.heads import Features, FeatureSizes, FrameDistribution, OutputLayer, marginals_of
from musicrnn.nn.pitchwise import Pitchwise
from musicrnn.nn.position import PositionEncoding, periods_of
from musicrnn.nn.recurrent import Recurrent
from musicrnn.nn.settings import NetworkSettings
from musicrnn.nn.state import NetworkState
from musicrnn.ops import cell_named, compiled_generator, fitting_threads, recurrence_work

if TYPE_CHECKING:
    from musicrnn.ops.kernels.generator import CompiledGenerator

CHUNK_FRAMES = 2**13
"""Frames that attention and pitch recurrence compute together where no gradient is needed."""


class Scored(NamedTuple):
    """The likelihood of pieces under a model.

    Attributes:
        nats: Negative log-likelihood of every frame, shape (B, T); zero on padding.
        state: State after the last frame.
        marginals: Probability of a one in every cell, shape (B, T, D), where it was asked for.
    """

    nats: Tensor
    state: NetworkState
    marginals: Tensor | None


class MusicRNN(nn.Module):
    """A recurrent network that assigns a probability to each next frame.

    Args:
        settings: The network.
        input_size: Width of a frame, D.
        channels: Cells of a pitch in a frame, which come channel by channel.
        data: What the frames mean (layout, tempo, metre, name of the corpus), as JSON values. The network
            never reads it; it is saved with the weights for evaluation and sampling.

    Raises:
        UsageError: An unknown cell or head, or a size out of its range.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        input_size: int,
        channels: int = 1,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if input_size < 1 or input_size % channels:
            raise UsageError(f"input_size must be a multiple of the {channels} channels, got {input_size}")
        self.settings, self.input_size, self.channels = settings, input_size, channels
        self.data = dict(data or {})
        cell, hidden, structure = settings.recurrent.cell, settings.recurrent.hidden, settings.structure
        embedded = hidden if settings.tied else settings.embedding
        self.embedding = (
            nn.Linear(input_size, embedded, bias=False) if embedded and not settings.tied else None
        )
        periods = periods_of(structure.clock)
        self.position = PositionEncoding(periods) if periods else None
        self.recurrent = Recurrent.from_settings(settings, (embedded or input_size) + sum(periods))
        outputs = self.recurrent.output_size
        sizes = FeatureSizes(
            outputs, input_size // channels, channels, structure.attention, structure.pitchwise
        )
        self.head = OutputLayer(settings.head, sizes)
        self.attention = (
            Attention(outputs, structure.attention, structure.attention_size) if structure.attention else None
        )
        self.pitchwise = Pitchwise(cell, sizes, settings.regularisation) if structure.pitchwise else None

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def fitting_threads(
        self, batch: int, frames: float, training: bool = True
    ) -> AbstractContextManager[None]:
        """Return a context in which torch uses as many threads as B pieces of about T frames are worth.

        Layers and head count as one recurrence, for which the thresholds were measured.

        Args:
            batch: Number of pieces, B.
            frames: Their usual length, T.
            training: Count attention and the pitch recurrence. Scoring counts the layers alone: last
                digits depend on the number of threads, and published figures must not.
        """
        layers = self.settings.recurrent
        work = recurrence_work(cell_named(layers.cell), batch, frames, self.input_size, layers.hidden)
        if training and self.attention is not None:
            work += self.attention.work(batch, frames, self.input_size)
        if training and self.pitchwise is not None:
            work += self.pitchwise.work(batch, frames)
        return fitting_threads(work)

    @property
    def is_plain(self) -> bool:
        """Whether it consists of layers and a head only."""
        return self.attention is None and self.pitchwise is None and self.position is None

    def warm_up(self) -> None:
        """Compile the kernels that training needs."""
        training = self.training
        first = next(self.parameters())
        nats = self.eval().nll(first.new_zeros(1, 2, self.input_size))
        nats.sum().backward()  # type: ignore[no-untyped-call]
        self.zero_grad()
        self.train(training)

    def forward(
        self, inputs: Tensor, state: NetworkState | None = None, semitones: Tensor | None = None
    ) -> tuple[FrameDistribution, NetworkState]:
        """Predict the frame after every input frame.

        Args:
            inputs: Input frames, shape (B, T, D).
            state: State before the first of them; None is zero.
            semitones: By how much each piece was transposed, shape (B,), from which the degree of the scale
                of a pitch follows. None: not at all.

        Returns:
            The distribution of the frame after each, and the state after the last.
        """
        features, state = self.features(inputs, state, semitones)
        return self.head(features), state

    def features(
        self, inputs: Tensor, state: NetworkState | None = None, semitones: Tensor | None = None
    ) -> tuple[Features, NetworkState]:
        """Return what the head makes the distributions of ``forward`` of, and the state."""
        embedding, retrieved, vectors = self._embedding_matrix(), None, None
        below = inputs if embedding is None else functional.linear(inputs, embedding)
        layers = state.layers if state else None
        memory, pitches, position = (state.attention, state.pitches, state.position) if state else ((),) * 3
        if self.position is not None:
            encoded, position = self.position(inputs, position)
            below = torch.cat([below, encoded], 2)
        hidden, following = self.recurrent(below, layers)
        log_odds = self.head.log_odds(hidden)
        if self.attention is not None:
            retrieved, gated, memory = self.attention(hidden, inputs, torch.sigmoid(log_odds), memory)
            log_odds = log_odds + gated
        if self.pitchwise is not None:
            vectors, added, pitches = self.pitchwise(hidden, inputs, retrieved, pitches, semitones)
            log_odds = log_odds + added
        features = Features(hidden, log_odds, inputs, retrieved, vectors)
        return features, NetworkState(tuple(following), memory, pitches, position)

    def chunks(
        self, inputs: Tensor, state: NetworkState | None = None, semitones: Tensor | None = None
    ) -> Iterator[tuple[slice, Features, NetworkState]]:
        """Do what ``features`` does, in chunks where memory counts and no gradient is needed.

        Yields:
            The frames of a chunk, and what ``features`` returns for them.
        """
        count = max(1, inputs.shape[1])
        whole = self.is_plain or torch.is_grad_enabled()
        size = count if whole else max(1, CHUNK_FRAMES // len(inputs))
        for start in range(0, count, size):
            span = slice(start, start + size)
            features, state = self.features(inputs[:, span], state, semitones)
            yield span, features, state

    def nll(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of every frame given the ones before it.

        The first frame is predicted from a zero input. The network is causal, so padding after the end of a
        piece doesn't change its real frames.

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
        inputs: Tensor | None = None,
        state: NetworkState | None = None,
        semitones: Tensor | None = None,
        *,
        marginals: bool = False,
    ) -> Scored:
        """Score frames; see ``nll``.

        Args:
            frames: Binary frames, shape (B, T, D).
            mask: True on real frames, shape (B, T). None: all are real.
            inputs: The input before each of them, shape (B, T, D). None: zeros, then the frames.
            state: State before the first frame; None is zero.
            semitones: By how much each piece was transposed, shape (B,). None: not at all.
            marginals: Whether to return marginals; a head that has none estimates them by sampling.
        """
        if inputs is None:
            inputs = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)
        nats, cells = list[Tensor](), list[Tensor]()
        independent = self.head.independent_cells() is not None
        for span, features, following in self.chunks(inputs, state, semitones):
            state, part, distribution = following, frames[:, span], self.head(features)
            nats.append(-distribution.log_prob(part))
            if marginals and independent:  # one sigmoid for all: its rounding depends on a tensor's size
                cells.append(features.log_odds)
            elif marginals:
                noise_shape = (len(part), part.shape[1], self.head.noise_size)
                cells.append(marginals_of(distribution, noise_shape, part.device))
        assert state is not None
        scores, given = _joined(nats), _joined(cells) if marginals else None
        if given is not None and independent:
            given = torch.sigmoid(given)
        return Scored(scores if mask is None else scores * mask, state, given)

    def compiled_generator(
        self, state: NetworkState, before: Tensor, pitches: int
    ) -> CompiledGenerator | None:
        """Return a compiled generator of frames, or None for a network that has none.

        Args:
            state: State of B pieces.
            before: The last input frames, bytes of shape (B, D).
            pitches: Cells of a frame that mean sounding pitches; as many onsets may follow them.
        """
        output = self.head.independent_cells()
        if output is None or self.training or not (self.is_plain and self.recurrent.is_chain):
            return None
        layers = self.recurrent.stack()
        weights = [layer.weights() for layer in layers]
        embedding = self._embedding_matrix()
        if embedding is not None:
            weights[0] = weights[0]._replace(input=weights[0].input @ embedding)
        return compiled_generator(layers[0].cell, weights, *output, state.layers, before, pitches)

    def features_at(self, state: NetworkState, before: Tensor) -> Features:
        """Return the features of the next frame from the state, of a network with a compiled generator.

        Args:
            state: State of B pieces.
            before: The last input frames, shape (B, D).
        """
        hidden = state.layers[-1][0][:, None]
        return Features(hidden, self.head.log_odds(hidden), before[:, None])

    def _embedding_matrix(self) -> Tensor | None:
        """Return the matrix from frames to the inputs of the first layer, shape (E, D), if there is one."""
        if self.settings.tied:
            return self.head.matrix.t()
        return None if self.embedding is None else self.embedding.weight


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)
