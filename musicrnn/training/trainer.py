"""One training update: forward and backward pass, weight noise, clipping, optimizer step.

What is random in it depends on the caller's seed alone, so it is the same in a resumed run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from musicrnn.checkpoint import load_model, new_model
from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import Batch
from musicrnn.errors import ModelError
from musicrnn.nn import MusicRNN
from musicrnn.nn.parameters import FlatParameters
from musicrnn.nn.settings import DropoutSettings
from musicrnn.nn.state import NetworkState
from musicrnn.settings import flatten
from musicrnn.training.average import Average
from musicrnn.training.distributed import ALONE, World
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
    def from_batch(cls, batch: Batch, device: torch.device | str) -> TrainingBatch:
        """Return a batch of the corpus as tensors on a device."""
        frames, inputs, mask, semitones = (
            torch.from_numpy(array).to(device)
            for array in (batch.frames, batch.inputs, batch.mask, batch.semitones)
        )
        return cls(frames, inputs, mask, batch.mask.sum(1), batch.pieces, semitones)

    def chunk(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor, NetworkState | None, Tensor]:
        """Return frames, mask, inputs, state and semitones of a chunk, without pieces that have ended.

        If all have ended, one frame of padding remains.
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
    """The figures of an update.

    Attributes:
        nats: Sum over its real frames, in all processes.
        norm: Norm of the gradient before clipping.
        computed: Frames computed, padding included, in all processes.
        nonfinite_piece: Position of the first piece whose likelihood isn't finite, if there is one.
    """

    nats: float
    norm: float
    computed: int
    nonfinite_piece: int | None

    @property
    def is_finite(self) -> bool:
        """Whether the step may be taken."""
        return math.isfinite(self.nats) and math.isfinite(self.norm)


class Trainer:
    """A network and everything that changes while it is trained.

    Args:
        model: On the device where it is trained.
        recipe: How to train it.
        frames: Training frames of the corpus.
        world: The processes that train together.

    Attributes:
        model: The network.
        device: Where it is.
        parameters: Its parameters and those of the weight noise.
        optimizer: Updates them.
        average: Their average over updates.
    """

    def __init__(self, model: MusicRNN, recipe: Recipe, frames: int, world: World = ALONE) -> None:
        self.model, self.world = model, world
        self._recipe, self._frames = recipe, frames
        self.device = next(model.parameters()).device
        self._noise = WeightNoise(model, recipe.weight_noise, recipe.adaptive_weight_noise).to(self.device)
        self.parameters = FlatParameters([*model.parameters(), *self._noise.parameters()])
        self.optimizer = OPTIMIZERS[recipe.optimizer](
            self.parameters, recipe.momentum, recipe.square_decay, recipe.weight_decay
        )
        self.average = Average(self.parameters.values, recipe.average, recipe.average_decay)
        parts = {"model": model, "noise": self._noise, "optimizer": self.optimizer, "average": self.average}
        self._parts = nn.ModuleDict(parts)
        self._changing = [self.parameters.values, *self.optimizer.buffers(), *self.average.buffers()]
        self._before = [tensor.clone() for tensor in self._changing]

    def compute_gradient(
        self, batches: Sequence[TrainingBatch], span: tuple[int, int], frames: int, seed: Sequence[int]
    ) -> Update:
        """Compute the clipped gradient of an update, without taking the step.

        Args:
            batches: This process's shares of the update's batches.
            span: First frame of the chunk, and the one after its last.
            frames: Real frames of the chunk, in all processes.
            seed: Seed of noise and dropout.
        """
        self.parameters.gradients.zero_()
        nats, computed, nonfinite = 0.0, 0, None
        mixed = self._recipe.precision == "bfloat16"
        _seed([*seed, self.world.rank], self.device)
        with self._noise.applied(self.parameters, np.random.Generator(np.random.SFC64(list(seed)))):
            for batch in batches:
                chunk = batch.chunk(*span)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
                    scored = self.model.score(*chunk)
                    total = scored.nats.sum()
                    torch.autograd.backward(total * (1 / frames))
                batch.state = scored.state.detach()
                nats += total.item()
                computed += chunk[1].numel()
                if not math.isfinite(nats) and nonfinite is None:
                    rows = torch.nonzero(~torch.isfinite(scored.nats.detach()).all(1)).flatten().tolist()
                    nonfinite = batch.pieces[rows[0] if rows else 0]
        self.world.all_reduce(self.parameters.gradients)
        sums = self.world.all_reduce(torch.tensor([nats, computed], dtype=torch.float64)).tolist()
        nats, computed = sums[0], int(sums[1])
        if not math.isfinite(nats):
            nonfinite = self.world.first_of(nonfinite)
        self._noise.add_gradients(self.parameters, self._frames)
        return Update(nats, self.parameters.clip_gradients(self._recipe.clip_norm), computed, nonfinite)

    def step(self, rate: float, averaged: bool = True) -> None:
        """Update the parameters with the gradient computed before; ``averaged``: also their average."""
        self._keep()
        self.optimizer.step(rate)
        if averaged:
            self.average.update(self.parameters.values)

    def rollback(self) -> None:
        """Undo the last step."""
        for before, tensor in zip(self._before, self._changing, strict=True):
            tensor.copy_(before)

    def state_dict(self) -> dict[str, Tensor]:
        """Return all state that resuming needs, by name."""
        return self._parts.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned.

        Raises:
            RuntimeError: A tensor is missing, unknown or of another shape.
        """
        self._parts.load_state_dict(state)
        self._keep()

    def _keep(self) -> None:
        """Remember what ``rollback`` restores."""
        for before, tensor in zip(self._before, self._changing, strict=True):
            before.copy_(tensor)


def make_trainer(corpus: Corpus, recipe: Recipe, device: str = "cpu", world: World = ALONE) -> Trainer:
    """Return a network with fresh weights, or those of ``recipe.init_from``, ready to be trained.

    Raises:
        CorpusError: The corpus has no training pieces.
        ModelError: The network to start from has another shape.
    """
    split = corpus["train"]
    torch.manual_seed(recipe.seed)
    model = new_model(recipe.network, corpus.facts())
    model.head.start_at(torch.as_tensor(split.rates(), dtype=torch.float32))
    if recipe.init_from is not None:
        start, none = load_model(recipe.init_from), DropoutSettings()
        here, there = (
            {"input_size": each.input_size, **flatten(replace(each.settings, regularisation=none))}
            for each in (model, start)
        )
        if here != there:
            differing = [name for name, value in here.items() if there[name] != value]
            wanted, found = ({name: shape[name] for name in differing} for shape in (here, there))
            raise ModelError(f"{recipe.init_from}: expected a network with {wanted}, found {found}")
        model.load_state_dict(start.state_dict())
    model.to(device)
    world.broadcast(model.warm_up)  # the main process compiles, the others load what it compiled
    if not world.is_main:
        model.warm_up()
    return Trainer(model, recipe, split.frames, world)


def spans(longest: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Yield where chunks of pieces begin and end, in frames; a ``chunk`` of 0 means whole pieces."""
    step = chunk or longest
    for start in range(0, longest, step):
        yield start, min(start + step, longest)


def _seed(seed: Sequence[int], device: torch.device) -> None:
    """Seed dropout on one device; ``torch.manual_seed`` would seed all, and record its caller."""
    number = int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
