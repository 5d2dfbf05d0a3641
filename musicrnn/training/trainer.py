"""What moves in a training, and one update of it: forward, backward, noise, clipping, step.

Everything drawn for an update comes from the seed, the epoch and the number of the update, so that an update
is the same whether or not the program was started anew before it, and in every process that takes part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from musicrnn.corpus.batches import Batch
from musicrnn.nn import MusicRNN
from musicrnn.nn.state import NetworkState
from musicrnn.training.average import Average
from musicrnn.training.distributed import World
from musicrnn.training.optimizers import OPTIMIZERS
from musicrnn.training.recipe import Recipe
from musicrnn.training.weight_noise import WeightNoise


@dataclass
class TrainingBatch:
    """A batch as tensors, and the state that is carried from chunk to chunk.

    Attributes:
        frames: Shape (B, T, D).
        inputs: What the network receives before each of them, shape (B, T, D).
        mask: True on real frames, shape (B, T).
        lengths: Real frames of each row, descending, shape (B,).
        pieces: Position of each row's piece in its split.
        semitones: By how much each was transposed, shape (B,).
        state: States after the last chunk; None at the beginning.
    """

    frames: Tensor
    inputs: Tensor
    mask: Tensor
    lengths: NDArray[np.int64]
    pieces: list[int]
    semitones: Tensor
    state: NetworkState | None = None

    @classmethod
    def from_batch(cls, batch: Batch, device: str) -> TrainingBatch:
        """Return a batch of the corpus as tensors on a device."""
        frames, inputs, mask, semitones = (
            torch.from_numpy(array).to(device)
            for array in (batch.frames, batch.inputs, batch.mask, batch.semitones)
        )
        return cls(frames, inputs, mask, batch.mask.sum(1), batch.pieces, semitones)

    def chunk(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor, NetworkState | None, Tensor]:
        """Return frames, mask, inputs, state and semitones of a chunk, without rows that have ended.

        Where all have ended one frame of padding remains, since every process takes part in every update.
        """
        rows = int(np.count_nonzero(self.lengths > start))
        if not rows:
            empty = torch.zeros_like(self.mask[:1, :1])
            return self.frames[:1, :1], empty, self.inputs[:1, :1], None, self.semitones[:1]
        stop = min(stop, int(self.lengths[0]))
        if rows == len(self.mask) and start == 0 and stop == self.mask.shape[1]:
            return self.frames, self.mask, self.inputs, self.state, self.semitones
        state = self.state and self.state.rows(slice(rows))
        span = (slice(rows), slice(start, stop))
        frames, inputs = self.frames[span].contiguous(), self.inputs[span].contiguous()
        return frames, self.mask[span], inputs, state, self.semitones[:rows]


class Update(NamedTuple):
    """What came of an update.

    Attributes:
        nats: Sum over its real frames, in all processes.
        norm: Norm of the gradient before clipping.
        computed: Frames computed, padding included.
        stop: Whether any process was asked to stop.
        nonfinite_piece: Position of the first piece whose likelihood isn't finite, if there is one.
    """

    nats: float
    norm: float
    computed: int
    stop: bool
    nonfinite_piece: int | None

    @property
    def is_finite(self) -> bool:
        """Whether the step may be taken."""
        return math.isfinite(self.nats) and math.isfinite(self.norm)


class _Scorer(nn.Module):
    """The model's likelihood as a forward pass, for those who wrap modules."""

    def __init__(self, model: MusicRNN) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, frames: Tensor, mask: Tensor, inputs: Tensor, state: NetworkState | None, semitones: Tensor
    ) -> tuple[Tensor, NetworkState]:
        scored = self.model.score(frames, mask, inputs, state, semitones)
        return scored.nats, scored.state


class Trainer:
    """A network in training.

    Args:
        model: On the device where it is trained.
        recipe: How.
        frames: Training frames of the corpus.
        world: The processes that take part.

    Attributes:
        model: The network.
        optimizer: Holds all parameters.
        average: Of the weights along the way.
    """

    def __init__(self, model: MusicRNN, recipe: Recipe, frames: int, world: World | None = None) -> None:
        self.model, self.world = model, world or World()
        self.noise = WeightNoise(model, recipe.weight_noise, recipe.adaptive_weight_noise)
        self.noise.to(next(model.parameters()).device)
        self.optimizer = OPTIMIZERS[recipe.optimizer](
            [*model.parameters(), *self.noise.parameters()],
            recipe.momentum,
            recipe.square_decay,
            recipe.weight_decay,
        )
        self.average = Average(self.optimizer.values, recipe.average, recipe.average_decay)
        self._recipe, self._frames = recipe, frames
        self._scorer: nn.Module = _Scorer(model)
        if self.world.size > 1:
            self._scorer = nn.parallel.DistributedDataParallel(self._scorer)
        self._moving = [self.optimizer.values, *self.optimizer.memory.values(), self.average.values]
        self._before = [tensor.clone() for tensor in self._moving]
        self._counts = (0, 0)

    def compute_gradient(
        self,
        batches: Sequence[TrainingBatch],
        span: tuple[int, int],
        frames: int,
        seed: Sequence[int],
        stop: bool = False,
    ) -> Update:
        """Compute the gradient of an update, clipped, without taking the step.

        Args:
            batches: This process's shares of its batches.
            span: First and last frame of the chunk.
            frames: Real frames of the chunk, in all processes.
            seed: What noise and dropout are drawn from.
            stop: Whether this process was asked to stop.
        """
        optimizer, size = self.optimizer, self.world.size
        optimizer.gradients.zero_()
        nats, computed, bad = 0.0, 0, None
        _seed([*seed, self.world.rank], optimizer.values.device)
        with self.noise.applied(optimizer, np.random.Generator(np.random.SFC64(list(seed)))):
            for number, batch in enumerate(batches):
                parts = batch.chunk(*span)
                with self._synchronised(number == len(batches) - 1), self._precision():
                    each, after = self._scorer(*parts)
                    total = each.sum()
                    (total * (size / frames)).backward()
                batch.state = after.detach()
                nats += total.item()
                computed += parts[1].numel()
                if not math.isfinite(nats) and bad is None:
                    rows = torch.nonzero(~torch.isfinite(each.detach()).all(1)).flatten().tolist()
                    bad = batch.pieces[rows[0] if rows else 0]
        if size > 1:
            sums = self.world.all_reduce(torch.tensor([nats, computed, float(stop)], dtype=torch.float64))
            nats, computed, stop = float(sums[0]), int(sums[1]), bool(sums[2] > 0)
            if not math.isfinite(nats):
                bad = self.world.first_of(bad)
        self.noise.add_gradients(optimizer, self._frames)
        return Update(nats, optimizer.clip(self._recipe.clip_norm), computed, stop, bad)

    def step(self, rate: float, averaged: bool = True) -> None:
        """Take the step that ``attempt`` prepared.

        Args:
            rate: The learning rate.
            averaged: Whether the weights enter the average.
        """
        for before, tensor in zip(self._before, self._moving, strict=True):
            before.copy_(tensor)
        self._counts = (self.optimizer.steps, self.average.updates)
        self.optimizer.step(rate)
        if averaged:
            self.average.update(self.optimizer.values)

    def rollback(self) -> None:
        """Undo the last step: what it led to can't be trained on."""
        for before, tensor in zip(self._before, self._moving, strict=True):
            tensor.copy_(before)
        self.optimizer.steps, self.average.updates = self._counts

    def evaluated(self) -> AbstractContextManager[None]:
        """Return a context in which the network has the weights that are evaluated and kept."""
        return self.average.applied(self.optimizer.values)

    def state(self) -> dict[str, Tensor]:
        """Return what going on takes, by name."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "model": self.model.state_dict(),
            "noise": self.noise.state_dict(),
            "optimizer": self.optimizer.state(),
            "average": self.average.state(),
        }
        return {
            f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` returned.

        Raises:
            KeyError: Something is missing.
            RuntimeError: It is of another shape.
        """
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "noise": {}, "optimizer": {}, "average": {}}
        for name, tensor in state.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.model.load_state_dict(parts["model"])
        self.noise.load_state_dict(parts["noise"])
        self.optimizer.load(parts["optimizer"])
        self.average.load(parts["average"])
        for before, tensor in zip(self._before, self._moving, strict=True):
            before.copy_(tensor)
        self._counts = (self.optimizer.steps, self.average.updates)

    def _synchronised(self, last: bool) -> AbstractContextManager[Any]:
        """Return a context for a backward pass; gradients travel with the last of an update."""
        wrapped = self._scorer
        if isinstance(wrapped, nn.parallel.DistributedDataParallel) and not last:
            return wrapped.no_sync()
        return nullcontext()

    def _precision(self) -> AbstractContextManager[Any]:
        if self._recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.optimizer.values.device.type, getattr(torch, self._recipe.precision))


def spans(longest: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Yield first and last frame of the chunks of pieces; no chunks means whole pieces."""
    step = chunk or longest
    for start in range(0, longest, step):
        yield start, min(start + step, longest)


def _seed(seed: Sequence[int], device: torch.device) -> None:
    """Seed the random state of a device, which dropout draws from, from several numbers.

    ``torch.manual_seed`` seeds every kind of device that there could be, and notes who asked each time.
    """
    number = int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
