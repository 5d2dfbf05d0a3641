"""A sampling session: streams of frames from one network, frame by frame.

Every stream is a piece in the making. ``feed`` conditions streams on frames, ``next`` samples the frames that
follow, ``fork`` and ``select`` copy streams. Random numbers are an argument, so a session has no randomness
of its own. Two implementations give the same frames for the same numbers: a compiled one, for plain networks
with independent cells and no fixed cells, and one that goes through the network frame by frame.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicrnn.errors import ModelError, RollError, UsageError
from musicrnn.music import Layout
from musicrnn.nn import MusicRNN
from musicrnn.nn.heads import Features, marginals_of
from musicrnn.nn.state import NetworkState

if TYPE_CHECKING:
    from musicrnn.ops.kernels.generator import CompiledGenerator


@dataclass(frozen=True)
class SamplingSettings:
    """How frames are sampled.

    Attributes:
        temperature: Divides the log-odds: below 1 safer, above 1 more random.
        threshold: If given, there is no randomness: every cell with at least this probability sounds.

    Raises:
        UsageError: A value is out of its range.
    """

    temperature: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"temperature must be above 0, got {self.temperature}")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UsageError(f"threshold must be between 0 and 1, got {self.threshold}")


DEFAULT = SamplingSettings()


class Sampler:
    """A session of one stream, or after ``fork`` of several.

    Args:
        model: The network, on the CPU; it is put into evaluation mode.
        settings: How frames are sampled.

    Attributes:
        layout: What the frames mean.
        noise_size: Random numbers that one frame takes, N.

    Raises:
        ModelError: The model doesn't say what its frames mean.
    """

    def __init__(self, model: MusicRNN, settings: SamplingSettings = DEFAULT) -> None:
        self.layout = layout_of(model)
        self.noise_size = model.head.noise_size
        self._model, self._settings = model.eval(), settings
        self._before = np.zeros((1, self.layout.width), np.uint8)
        self._state: NetworkState | None = None
        self._features: Features | None = None  # of the next frame; None: they follow from the state
        self._compiled: CompiledGenerator | None = None  # while it exists it has the state

    @property
    def streams(self) -> int:
        """Number of streams, B."""
        return len(self._before)

    @torch.inference_mode()
    def feed(self, frames: NDArray[np.uint8]) -> None:
        """Condition every stream on frames.

        Args:
            frames: Shape (T, D), the same for all streams, or (B, T, D).

        Raises:
            ValueError: The shape doesn't fit.
        """
        width = self.layout.width
        rows = np.broadcast_to(frames, (self.streams, *frames.shape[-2:])) if frames.ndim == 2 else frames
        if rows.ndim != 3 or (len(rows), rows.shape[2]) != (self.streams, width):
            expected = f"({self.streams}, T, {width})"
            raise ValueError(f"frames must have shape {expected} (B, T, D), got {tuple(frames.shape)}.")
        inputs = torch.from_numpy(np.array(rows)).float()
        if self._is_new:  # the first frame of a piece is predicted from a zero input
            inputs = torch.cat([torch.zeros(self.streams, 1, width), inputs], dim=1)
        self._leave_compiled()
        if inputs.shape[1]:
            self._advance(inputs)
        if rows.shape[1]:
            self._before = rows[:, -1].copy()

    @torch.inference_mode()
    def next(self, noise: NDArray[np.float32], given: NDArray[np.int8] | None = None) -> NDArray[np.uint8]:
        """Sample the next frames of every stream.

        Args:
            noise: Uniform random numbers in [0, 1), shape (B, T, N).
            given: Cells that are fixed at 0 or 1, -1 where a cell is to be sampled, shape (B, T, D). None:
                all cells are sampled. With onset channels a pitch that is fixed as silent has no onset, and
                one with a fixed onset sounds.

        Returns:
            Frames, shape (B, T, D), that mean what notes mean: a pitch that starts to sound has an onset.

        Raises:
            ValueError: A shape doesn't fit.
        """
        frames = np.zeros((self.streams, noise.shape[1], self.layout.width), np.uint8)
        for name, array, size in (("noise", noise, self.noise_size), ("given", given, self.layout.width)):
            if array is not None and array.shape != (*frames.shape[:2], size):
                expected = (*frames.shape[:2], size)
                raise ValueError(f"{name} must have shape {expected}, got {tuple(array.shape)}.")
        if self._is_new:
            self.feed(frames[:, :0])
        if not frames.size:
            return frames
        if given is None and self._compile() is not None:
            assert self._compiled is not None
            threshold = self._settings.threshold or 0.0
            numbers, rolls = torch.from_numpy(noise), torch.from_numpy(frames)
            self._compiled.sample(numbers, rolls, self._settings.temperature, threshold)
            self._before = frames[:, -1].copy()
            return frames
        self._leave_compiled()
        for t in range(noise.shape[1]):
            fixed = None if given is None else given[:, t]
            self._before = frames[:, t] = self._sample_frame(noise[:, t], fixed)
            self._advance(torch.from_numpy(self._before).float()[:, None])
        return frames

    def fork(self, copies: int) -> Sampler:
        """Return a session with ``copies`` copies of every stream, with copies next to each other."""
        return self.select(np.repeat(np.arange(self.streams), copies))

    def select(self, streams: NDArray[np.int64]) -> Sampler:
        """Return a session with copies of some streams, by number; a number may occur several times."""
        self._leave_compiled()
        chosen, rows = copy(self), torch.from_numpy(streams)
        chosen._before = self._before[streams]
        chosen._state = self._state and self._state.rows(rows)
        chosen._features = self._features and self._features.rows(rows)
        return chosen

    @property
    def _is_new(self) -> bool:
        return self._state is None and self._compiled is None

    def _advance(self, inputs: Tensor) -> None:
        """Go through the network with input frames (B, T, D), at least one."""
        if inputs.shape[1] == 1:
            self._features, self._state = self._model.features(inputs, self._state)
            return
        for _, features, state in self._model.chunks(inputs, self._state):
            self._features, self._state = features.last(), state

    def _sample_frame(self, noise: NDArray[np.float32], given: NDArray[np.int8] | None) -> NDArray[np.uint8]:
        """Sample a frame of every stream from numbers (B, N) and fixed cells (B, D)."""
        if self._features is None:
            assert self._state is not None
            self._features = self._model.features_at(self._state, torch.from_numpy(self._before).float())
        distribution, settings = self._model.head(self._features), self._settings
        fixed = None
        if given is not None:
            fixed = torch.from_numpy(_consistent(given, self._before, self.layout))[:, None]
        if settings.threshold is None:
            numbers = torch.from_numpy(noise)[:, None]
            cells = distribution.sample(numbers, fixed, settings.temperature)
        else:
            shape = (self.streams, 1, self.noise_size)
            marginals = marginals_of(distribution, shape, temperature=settings.temperature)
            cells = (marginals >= settings.threshold).float()
            cells = cells if fixed is None else torch.where(fixed < 0, cells, fixed.float())
        return _canonical(cells[:, 0].numpy().astype(np.uint8), self._before, self.layout)

    def _compile(self) -> CompiledGenerator | None:
        """Hand the state to a compiled generator, if there is one for this network."""
        if self._compiled is None:
            assert self._state is not None
            before = torch.from_numpy(self._before)
            self._compiled = self._model.compiled_generator(self._state, before, self.layout.pitches)
            if self._compiled is not None:
                self._state = self._features = None
        return self._compiled

    def _leave_compiled(self) -> None:
        """Take the state back from the compiled generator."""
        if self._compiled is not None:
            self._state, self._compiled = NetworkState(self._compiled.state), None


def layout_of(model: MusicRNN) -> Layout:
    """Return what the frames of a model mean.

    Raises:
        ModelError: The model doesn't say.
    """
    try:
        return Layout.from_dict(model.data)
    except (KeyError, TypeError, ValueError, RollError) as error:
        raise ModelError(f"expected a model that says what its frames mean, found {model.data}") from error


def _consistent(given: NDArray[np.int8], before: NDArray[np.uint8], layout: Layout) -> NDArray[np.int8]:
    """Complete fixed cells by what follows from them about the other channel of a pitch."""
    if not layout.has_onsets:
        return given
    sounds, starts = given[:, : layout.pitches].copy(), given[:, layout.pitches :].copy()
    sounds[starts == 1] = 1
    sounds[(starts == 0) & (sounds < 0) & (before[:, : layout.pitches] == 0)] = 0  # it could only start
    starts[sounds == 0] = 0
    return np.concatenate([sounds, starts], axis=1)


def _canonical(frames: NDArray[np.uint8], before: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """Make sampled frames mean the same as notes would, as ``PianoRoll`` does for whole rolls."""
    if layout.has_onsets:
        pitches = layout.pitches
        frames[:, :pitches] |= frames[:, pitches:]
        frames[:, pitches:] |= frames[:, :pitches] & (1 - before[:, :pitches])
    return frames
