"""The kernels of a cell as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels.equations import Equations, Operands, unchanged
from musicrnn.ops.kernels.generator import CompiledGenerator
from musicrnn.ops.kernels.recurrence import Recurrence


@dataclass(frozen=True)
class Fused:
    """The kernels of a cell.

    Attributes:
        equations: Its equations.
        peepholes: Its equations with peepholes.
        arrange: Turns a layer's parameters into the operands of the equations.
    """

    equations: Equations
    peepholes: Equations | None = None
    arrange: Callable[[Weights], Operands] = unchanged

    def of(self, weights: Weights) -> Equations:
        """Return the equations of a layer."""
        return self.equations if weights.peepholes is None else self.peepholes or self.equations

    def sequence(
        self, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run a layer over a batch of sequences; see ``dispatch.recurrence``."""
        operands, keep = self.arrange(weights), torch.is_grad_enabled()
        outputs, *last = Recurrence.apply(self.of(weights), keep, inputs, mask, *operands, *state)
        return outputs, tuple(last)

    def generator(
        self,
        layers: Sequence[Weights],
        head: Tensor,
        head_bias: Tensor,
        state: Sequence[State],
        before: Tensor,
        pitches: int,
    ) -> CompiledGenerator:
        """Return a generator of frames; see there."""
        operands = [self.arrange(layer) for layer in layers]
        return CompiledGenerator(self.of(layers[0]), operands, head, head_bias, state, before, pitches)
