"""The kernels as functions of tensors that autograd differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from musicrnn.ops import choices
from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels import packing, sequence
from musicrnn.ops.kernels.compile import Entry
from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.vectors import REGISTER_BYTES
from musicrnn.ops.kernels.workspace import Layout, Workspace

if TYPE_CHECKING:
    from musicrnn.ops.kernels.streams import Streams


class Kernels:
    """The compiled kernels of a cell for one type of number, each compiled when it is first wanted.

    Args:
        equations: The cell's.
        dtype: float32 or float64.
    """

    def __init__(self, equations: Equations, dtype: torch.dtype) -> None:
        self.equations, self.dtype = equations, dtype
        self._number = str(dtype).removeprefix("torch.")

    @cached_property
    def forward(self) -> Entry:
        """See ``sequence.forward_of``."""
        return self._entry("forward", sequence.forward_of(self.equations), sequence.FIELDS)

    @cached_property
    def backward(self) -> Entry:
        """See ``sequence.backward_of``."""
        return self._entry("backward", sequence.backward_of(self.equations), sequence.FIELDS)

    def _entry(self, kind: str, body: Callable[..., None], fields: tuple[str, ...]) -> Entry:
        return Entry(f"{self.equations.name}_{kind}", body, fields, self._number)


@cache
def kernels_of(equations: Equations, dtype: torch.dtype) -> Kernels:
    """Return the kernels of a cell for a type of number."""
    return Kernels(equations, dtype)


@cache
def packer(dtype: torch.dtype) -> Entry:
    """Return what lays out matrices for products; see ``packing.pack``."""
    return Entry("pack", packing.pack, packing.FIELDS, str(dtype).removeprefix("torch."))


class Plan(NamedTuple):
    """The sizes of a call, and where things lie in the workspaces of its two passes.

    Attributes:
        slices: Parts of the batch.
        sizes: What kernels are told, by the names of ``sequence.FIELDS``.
        row: Numbers in the blocks of a frame, blocks * P.
        blocks: Where ``blocks`` begins in the workspace that both passes use; likewise what follows.
        before: See ``sequence.FIELDS``.
        operand: See ``sequence.FIELDS``.
        scratch: See ``sequence.FIELDS``.
        forward: Numbers in that workspace.
        gradients: Where ``gradients`` begins in the workspace of the backward pass.
        backward_scratch: Where its ``scratch`` begins.
        backward: Numbers in it.
    """

    slices: int
    sizes: dict[str, int]
    row: int
    blocks: int
    before: int
    operand: int
    scratch: int
    forward: int
    gradients: int
    backward_scratch: int
    backward: int


@lru_cache(maxsize=1024)
def _plan(
    equations: Equations,
    shape: tuple[int, int, int],
    hidden: int,
    reached: int,
    lanes: int,
    slices: int,
    keep: bool,
    sparse: bool,
) -> Plan:
    batch, steps, width = shape
    frames, padded = batch * steps, -(-hidden // lanes) * lanes
    row = equations.blocks * padded
    rows = -(-batch // slices)
    scratch = sequence.scratch_size(equations, rows, width, hidden, padded, sparse)
    first, second = Layout(), Layout()
    return Plan(
        slices,
        {
            "rows": batch,
            "frames": steps,
            "width": width,
            "hidden": hidden,
            "reached": reached,
            "padded": padded,
            "keep": keep,
            "sparse": sparse,
            "scratch_size": scratch,
        },
        row,
        first.place(frames, row if keep or not sparse else 0),
        first.place(equations.states, frames, padded if keep else 0),
        first.place(frames, hidden if keep and equations.open is not None else 0),
        first.place(slices, scratch),
        first.size,
        second.place(frames, equations.blocks * hidden),
        second.place(slices, scratch),
        second.size,
    )


class _Recurrence(torch.autograd.Function):
    """A recurrence over a batch of sequences by the kernels of a cell."""

    @staticmethod
    def forward(
        ctx: Any,
        equations: Equations,
        keep: bool,
        inputs: Tensor,
        mask: Tensor | None,
        w: Tensor,
        u: Tensor,
        b: Tensor,
        constants: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        inputs, w, u, b = inputs.contiguous(), w.contiguous(), u.contiguous(), b.contiguous()
        constants = None if constants is None else constants.contiguous()
        mask = None if mask is None else mask.contiguous()
        keep = keep and any(ctx.needs_input_grad)
        sparse = not ctx.needs_input_grad[2] and choices.sparse(inputs)
        dtype, shape, hidden = inputs.dtype, tuple(inputs.shape), u.shape[1]
        reached, slices = u.shape[0] // equations.products, choices.slices(shape[0])
        plan = _plan(equations, shape, hidden, reached, lanes_of(dtype), slices, keep, sparse)
        workspace = Workspace(plan.forward, dtype)
        if not sparse:
            projected = workspace.matrix(plan.blocks, shape[0] * shape[1], w.shape[0], plan.row)
            torch.addmm(b[: w.shape[0]], inputs.flatten(0, 1), w.t(), out=projected)
        outputs, final = inputs.new_empty(*shape[:2], hidden), inputs.new_empty(len(state), shape[0], hidden)
        kernels_of(equations, dtype).forward(
            plan.slices,
            plan.sizes
            | workspace.addresses(
                blocks=plan.blocks, before=plan.before, operand=plan.operand, scratch=plan.scratch
            ),
            inputs=inputs,
            w=w,
            u=u,
            b=b,
            constants=constants,
            mask=mask,
            start=_joined(state),
            final=final,
            outputs=outputs,
        )
        ctx.set_materialize_grads(False)
        if keep:
            ctx.equations, ctx.plan, ctx.workspace = equations, plan, workspace
            ctx.save_for_backward(inputs, w, u, constants, mask)
        return (outputs, *final.unbind(0))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, *d_state: Tensor | None) -> tuple[Tensor | None, ...]:
        equations, plan, kept = ctx.equations, ctx.plan, ctx.workspace
        inputs, w, u, constants, mask = ctx.saved_tensors
        batch, steps, width = inputs.shape
        frames, hidden, size = batch * steps, u.shape[1], equations.blocks * u.shape[1]
        if d_outputs is None:
            d_outputs = inputs.new_zeros(batch, steps, hidden)
        workspace = Workspace(plan.backward, inputs.dtype)
        sparse, new = plan.sizes["sparse"], inputs.new_empty
        d_w = new(plan.slices, *w.shape) if sparse else None
        d_b = new(plan.slices, size)
        d_constants = None if constants is None else new(plan.slices, *constants.shape)
        final = new(equations.states, batch, hidden)
        kernels_of(equations, inputs.dtype).backward(
            plan.slices,
            plan.sizes
            | kept.addresses(blocks=plan.blocks, before=plan.before)
            | workspace.addresses(gradients=plan.gradients, scratch=plan.backward_scratch),
            inputs=inputs,
            u=u,
            constants=constants,
            mask=mask,
            start=_joined([new(batch, hidden).zero_() if d is None else d for d in d_state])
            if any(d is not None for d in d_state)
            else None,
            final=final,
            outputs=d_outputs.contiguous(),
            w_gradients=d_w,
            b_gradients=d_b,
            constant_gradients=d_constants,
        )
        driven = equations.driven_blocks * hidden

        def gradients(first: int, last: int) -> Tensor:
            return workspace.matrix(plan.gradients + first, frames, last - first, size)

        heard = gradients(size - w.shape[0], size)
        d_u = torch.empty_like(u)
        if driven:
            before = kept.matrix(plan.before, frames, hidden, plan.sizes["padded"])
            torch.mm(gradients(0, driven).t(), before, out=d_u[:driven])
        if equations.open is not None:
            operand = kept.matrix(plan.operand, frames, hidden, hidden)
            torch.mm(gradients(driven, u.shape[0]).t(), operand, out=d_u[driven:])
        if equations.order is not None:
            d_u = d_u.unflatten(0, (-1, hidden))[np.argsort(equations.order)].flatten(0, 1)
        return (
            None,
            None,
            (heard @ w).view_as(inputs) if ctx.needs_input_grad[2] else None,
            None,
            heard.t() @ inputs.view(frames, width) if d_w is None else _summed(d_w),
            d_u,
            _summed(d_b),
            None if d_constants is None else _summed(d_constants),
            *final.unbind(0),
        )


def _joined(state: Sequence[Tensor]) -> Tensor:
    """Return the tensors of a state in one piece of memory."""
    return state[0].contiguous() if len(state) == 1 else torch.stack(list(state))


def _summed(parts: Tensor) -> Tensor:
    """Return the sum of what each slice contributed."""
    return parts[0] if parts.shape[0] == 1 else parts.sum(0)


class Operands(NamedTuple):
    """A layer's parameters as its kernel takes them: W and U (G * H, ...), b, and constants (count, H).

    A single block of U may have fewer rows than H, for the units that it reaches.
    """

    w: Tensor
    u: Tensor
    b: Tensor
    constants: Tensor | None


def as_they_are(weights: Weights) -> Operands:
    """Hand a layer's parameters over unchanged."""
    return Operands(weights.input, weights.hidden, weights.bias, weights.peepholes)


@dataclass(frozen=True)
class Fused:
    """The kernels of a cell.

    Attributes:
        equations: The cell's.
        peepholes: The cell's where it has peepholes.
        arrange: Makes a layer's parameters into what the equations work on.
    """

    equations: Equations
    peepholes: Equations | None = None
    arrange: Callable[[Weights], Operands] = as_they_are

    def of(self, weights: Weights) -> Equations:
        """Return the equations that a layer needs."""
        return self.equations if weights.peepholes is None else self.peepholes or self.equations

    def streams(
        self,
        layers: Sequence[Weights],
        head: Tensor,
        head_bias: Tensor,
        state: Sequence[State],
        before: Tensor,
        pitches: int,
    ) -> Streams:
        """Begin to generate; see ``streams.Streams``."""
        from musicrnn.ops.kernels.streams import Streams

        operands = [self.arrange(layer) for layer in layers]
        return Streams(self.of(layers[0]), operands, head, head_bias, state, before, pitches)

    def sequence(
        self, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run a layer over a batch of sequences; see ``dispatch.recurrence``."""
        operands, keep = self.arrange(weights), torch.is_grad_enabled()
        outputs, *last = _Recurrence.apply(self.of(weights), keep, inputs, mask, *operands, *state)
        return outputs, tuple(last)


def lanes_of(dtype: torch.dtype) -> int:
    """Return how many numbers a vector holds."""
    return REGISTER_BYTES // dtype.itemsize
