"""The kernels of ``sequence.py`` as a function that autograd differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from musicrnn.ops import choices
from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels import sequence
from musicrnn.ops.kernels.compile import Entry
from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.vectors import lanes_in
from musicrnn.ops.kernels.workspace import Offsets, Workspace, arrange


@cache
def _kernel(equations: Equations, kind: str, dtype: torch.dtype) -> Entry:
    body = {"forward": sequence.forward_of, "backward": sequence.backward_of}[kind](equations)
    return Entry(f"{equations.name}_{kind}", body, sequence.FIELDS, dtype)


@lru_cache(maxsize=1024)
def _sizes(
    equations: Equations,
    shape: tuple[int, int, int],
    hidden: int,
    reached: int,
    dtype: torch.dtype,
    slices: int,
    keep: bool,
    sparse: bool,
) -> tuple[dict[str, int], Offsets, Offsets]:
    """Return the sizes of a call by the names of ``sequence.FIELDS``, and the workspaces of its two passes.

    The first is written by the forward pass and read by the backward pass; the second is for that alone.
    """
    (batch, steps, width), lanes = shape, lanes_in(dtype)
    frames, padded = batch * steps, -(-hidden // lanes) * lanes
    scratch = sequence.scratch_size(equations, -(-batch // slices), width, hidden, padded, sparse)
    sizes = {
        "rows": batch,
        "frames": steps,
        "width": width,
        "hidden": hidden,
        "reached": reached,
        "padded": padded,
        "keep": keep,
        "sparse": sparse,
        "scratch_size": scratch,
    }
    forward = {
        "blocks": frames * equations.blocks * padded if keep or not sparse else 0,
        "before": equations.states * frames * padded if keep else 0,
        "operand": frames * hidden if keep and equations.open is not None else 0,
        "scratch": slices * scratch,
    }
    backward = {"gradients": frames * equations.blocks * hidden, "scratch": slices * scratch}
    return sizes, arrange(forward), arrange(backward)


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
        reached, slices = len(u) // len(equations.rows_of_u), choices.slices(shape[0])
        sizes, arrays, later = _sizes(equations, shape, hidden, reached, dtype, slices, keep, sparse)
        workspace = Workspace(arrays, dtype)
        if not sparse:
            row = equations.blocks * sizes["padded"]
            projected = workspace.matrix("blocks", shape[0] * shape[1], len(w), row)
            torch.addmm(b[: len(w)], inputs.flatten(0, 1), w.t(), out=projected)
        outputs, final = inputs.new_empty(*shape[:2], hidden), inputs.new_empty(len(state), shape[0], hidden)
        _kernel(equations, "forward", dtype)(
            slices,
            sizes | workspace.addresses(),
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
            ctx.call = equations, slices, sizes, workspace, later
            ctx.save_for_backward(inputs, w, u, constants, mask)
        return (outputs, *final.unbind(0))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, *d_state: Tensor | None) -> tuple[Tensor | None, ...]:
        equations, slices, sizes, kept, arrays = ctx.call
        inputs, w, u, constants, mask = ctx.saved_tensors
        batch, steps, width = inputs.shape
        hidden, new = u.shape[1], inputs.new_empty
        if d_outputs is None:
            d_outputs = inputs.new_zeros(batch, steps, hidden)
        workspace = Workspace(arrays, inputs.dtype)
        d_w = new(slices, *w.shape) if sizes["sparse"] else None
        d_b = new(slices, equations.blocks * hidden)
        d_constants = None if constants is None else new(slices, *constants.shape)
        final = new(equations.states, batch, hidden)
        _kernel(equations, "backward", inputs.dtype)(
            slices,
            sizes | kept.addresses() | workspace.addresses(),
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
        first = equations.first_input_block * hidden
        d_projected = workspace.matrix("gradients", batch * steps, len(w), equations.blocks * hidden, first)
        return (
            None,
            None,
            (d_projected @ w).view_as(inputs) if ctx.needs_input_grad[2] else None,
            None,
            d_projected.t() @ inputs.view(-1, width) if d_w is None else _summed(d_w),
            _gradient_of_u(equations, sizes, kept, workspace, u),
            _summed(d_b),
            None if d_constants is None else _summed(d_constants),
            *final.unbind(0),
        )


def _gradient_of_u(
    equations: Equations, sizes: dict[str, int], kept: Workspace, workspace: Workspace, u: Tensor
) -> Tensor:
    """Return the gradient of U, from what both passes left in their workspaces."""
    frames, hidden = sizes["rows"] * sizes["frames"], u.shape[1]
    recurrent, size, d_u = equations.recurrent_blocks * hidden, equations.blocks * hidden, torch.empty_like(u)
    if recurrent:
        before = kept.matrix("before", frames, hidden, sizes["padded"])
        gradients = workspace.matrix("gradients", frames, recurrent, size)
        torch.mm(gradients.t(), before, out=d_u[:recurrent])
    if equations.open is not None:
        operand = kept.matrix("operand", frames, hidden, hidden)
        gradients = workspace.matrix("gradients", frames, len(u) - recurrent, size, recurrent)
        torch.mm(gradients.t(), operand, out=d_u[recurrent:])
    if equations.order:
        d_u = d_u.unflatten(0, (-1, hidden))[np.argsort(equations.order)].flatten(0, 1)
    return d_u


def _joined(state: Sequence[Tensor]) -> Tensor:
    """Return the tensors of a state in one piece of memory."""
    return state[0].contiguous() if len(state) == 1 else torch.stack(list(state))


def _summed(parts: Tensor) -> Tensor:
    """Return the sum over slices."""
    return parts[0] if len(parts) == 1 else parts.sum(0)


@dataclass(frozen=True)
class Fused:
    """The kernels of a cell.

    Attributes:
        equations: Its equations.
        peepholes: Its equations with peepholes.
        constants: Returns those of a layer, shape (count, H), or None.
    """

    equations: Equations
    peepholes: Equations | None = None
    constants: Callable[[Weights], Tensor | None] = attrgetter("peepholes")

    def of(self, weights: Weights) -> Equations:
        """Return the equations of a layer."""
        return self.equations if weights.peepholes is None else self.peepholes or self.equations

    def sequence(
        self, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run a layer over a batch of sequences; see ``dispatch.recurrence``."""
        parameters, keep = (*weights[:3], self.constants(weights)), torch.is_grad_enabled()
        outputs, *last = _Recurrence.apply(self.of(weights), keep, inputs, mask, *parameters, *state)
        return outputs, tuple(last)
