"""The kernels as functions of tensors that autograd differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from musicrnn.ops import choices
from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels import packing, rolls, sequence
from musicrnn.ops.kernels.compile import Entry
from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.vectors import REGISTER_BYTES
from musicrnn.ops.kernels.workspace import Workspace, room

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
def _common(name: str, dtype: torch.dtype) -> Entry:
    body, fields = {
        "pack": (packing.pack, packing.FIELDS),
        "find_active": (rolls.find_active, rolls.FIELDS),
    }[name]
    return Entry(name, body, fields, str(dtype).removeprefix("torch."))


class Sizes(NamedTuple):
    """The sizes of a call: B, T, D, H; P units after padding; G blocks that hear; W = blocks * P."""

    batch: int
    frames: int
    width: int
    hidden: int
    padded: int
    gates: int
    row: int
    slices: int
    scratch: int

    @classmethod
    def of(cls, equations: Equations, inputs: Tensor, w: Tensor) -> Sizes:
        """Return the sizes of a call for inputs (B, T, D) and input weights (G * H, D)."""
        batch, frames, width = inputs.shape
        gates = equations.blocks - equations.heard
        hidden = len(w) // gates
        padded = padded_size(hidden, inputs.dtype)
        row, slices = equations.blocks * padded, choices.slices(batch)
        scratch = -(-batch // slices) * (row + (equations.states + 1) * padded) + padded
        return cls(batch, frames, width, hidden, padded, gates, row, slices, scratch)


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
        inputs, dtype, keep = inputs.contiguous(), inputs.dtype, keep and any(ctx.needs_input_grad)
        size = Sizes.of(equations, inputs, w)
        frames, row, padded = size.batch * size.frames, size.row, size.padded
        most = 0 if ctx.needs_input_grad[2] else choices.most_active(size.width)
        saved = padded * (equations.states + (equations.open is not None)) if keep else 0
        workspace = Workspace(
            room(frames, row, dtype=dtype)
            + room(frames, saved, dtype=dtype)
            + room(size.slices, size.scratch, dtype=dtype)
            + room(frames + 1, most + 1, dtype=torch.int32)
            + room(len(u), padded, dtype=dtype)
            + 512
        )
        w_padded = pad(w, size.hidden, padded)
        bias = torch.roll(pad(b, size.hidden, padded), equations.heard, 0).flatten()
        rolls = _active(inputs, size, most, workspace)
        blocks = workspace.take(frames, row, dtype=dtype)
        if rolls is None:
            _project(inputs, w_padded, bias, equations.heard * padded, out=blocks)
        columns = None if rolls is None else w_padded.flatten(0, 1).t().contiguous()
        before = workspace.take(equations.states if keep else 0, frames, padded, dtype=dtype)
        operand = workspace.take(frames if saved > len(before) * padded else 0, padded, dtype=dtype)
        diagonals = None if constants is None else pad(constants.flatten(), size.hidden, padded)
        real = None if mask is None else mask.to(torch.uint8).contiguous()
        start = torch.stack(state)
        outputs, final = inputs.new_empty(*inputs.shape[:2], size.hidden), torch.empty_like(start)
        matrix = pack(ordered(u, equations.order), size.hidden, padded, workspace)
        kernels_of(equations, dtype).forward(
            size.slices,
            rows=size.batch,
            frames=size.frames,
            hidden=size.hidden,
            padded=padded,
            keep=keep,
            blocks=blocks,
            matrix=matrix,
            second_matrix=matrix[equations.products :],
            constants=diagonals,
            mask=real,
            start=start,
            final=final,
            outputs=outputs,
            before=before,
            operand=operand,
            active=rolls and rolls[0],
            counts=rolls and rolls[1],
            most=most,
            input_matrix=columns,
            bias=bias,
            scratch=workspace.take(size.slices, size.scratch, dtype=dtype),
            scratch_size=size.scratch,
        )
        ctx.equations, ctx.size, ctx.most = equations, size, most
        ctx.shape = None if constants is None else constants.shape
        if keep:
            ctx.workspace, ctx.kept = workspace, (blocks, before, operand, rolls)
            ctx.save_for_backward(inputs, w, u, diagonals, real)
        return (outputs, *final.unbind(0))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor, *d_state: Tensor) -> tuple[Tensor | None, ...]:
        equations, size = ctx.equations, ctx.size
        inputs, w, u, diagonals, real = ctx.saved_tensors
        blocks, before, operand, rolls = ctx.kept
        dtype, padded, hidden = inputs.dtype, size.padded, size.hidden
        frames, driven = size.batch * size.frames, equations.products
        workspace = Workspace(
            room(frames, size.row, dtype=dtype)
            + room(size.slices, size.scratch, dtype=dtype)
            + room(len(u), padded, dtype=dtype)
            + 256
        )
        gradients = workspace.take(frames, size.row, dtype=dtype)
        matrix = _pack(ordered(u, equations.order), hidden, hidden, padded, False, workspace)
        d_bias = inputs.new_zeros(size.slices, size.row)
        d_constants = inputs.new_zeros(size.slices, equations.constants, padded)
        d_columns = None
        if rolls is not None:
            d_columns = inputs.new_zeros(size.slices, size.width, size.gates * padded)
        start = torch.stack(d_state)
        final = torch.empty_like(start)
        kernels_of(equations, dtype).backward(
            size.slices,
            rows=size.batch,
            frames=size.frames,
            hidden=hidden,
            padded=padded,
            blocks=blocks,
            matrix=matrix,
            second_matrix=matrix[driven:],
            constants=diagonals,
            mask=real,
            start=start,
            final=final,
            outputs=d_outputs.contiguous(),
            before=before,
            operand=operand,
            gradients=gradients,
            constant_gradients=d_constants,
            active=rolls and rolls[0],
            counts=rolls and rolls[1],
            most=ctx.most,
            input_gradients=d_columns,
            bias_gradients=d_bias,
            input_gradients_size=size.width * size.gates * padded,
            scratch=workspace.take(size.slices, size.scratch, dtype=dtype),
            scratch_size=size.scratch,
        )
        heard = gradients[:, equations.heard * padded :]
        flat = inputs.view(frames, size.width)
        d_w = heard.t() @ flat if d_columns is None else d_columns.sum(0).t()
        parts = [gradients[:, : driven * padded].t() @ before[0]] if driven else []
        if equations.open is not None:
            parts.append(gradients[:, driven * padded :].t() @ operand)
        d_u = torch.cat(parts).view(-1, padded, padded)[:, :hidden, :hidden] if parts else u
        if equations.order is not None:
            d_u = d_u[np.argsort(equations.order)]
        d_b = torch.roll(d_bias.sum(0).view(-1, padded), -equations.heard, 0)[:, :hidden]
        d_inputs = None
        if ctx.needs_input_grad[2]:
            d_inputs = (heard @ pad(w, hidden, padded).flatten(0, 1)).view_as(inputs)
        return (
            None,
            None,
            d_inputs,
            None,
            d_w.reshape(size.gates, padded, -1)[:, :hidden].flatten(0, 1),
            d_u.reshape(-1, hidden),
            d_b.flatten(),
            d_constants.sum(0)[:, :hidden].reshape(ctx.shape) if equations.constants else None,
            *final.unbind(0),
        )


class Operands(NamedTuple):
    """A layer's parameters as its kernel takes them: W and U (G * H, ...), b, and constants (count, H)."""

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

    def check(self) -> None:
        """Compile something small, and raise whatever this platform has against it."""
        _common("pack", torch.float32)

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


def padded_size(hidden: int, dtype: torch.dtype) -> int:
    """Return H rounded up to a whole number of vectors."""
    lanes = REGISTER_BYTES // dtype.itemsize
    return -(-hidden // lanes) * lanes


def pad(blocks: Tensor, hidden: int, padded: int) -> Tensor:
    """Append zeros to every block of H rows: (blocks * H, ...) -> (blocks, P, ...)."""
    parts = blocks.unflatten(0, (len(blocks) // hidden, hidden))
    if hidden == padded:
        return parts
    result = blocks.new_zeros(len(parts), padded, *blocks.shape[1:])
    result[:, :hidden] = parts
    return result


def _project(inputs: Tensor, w: Tensor, bias: Tensor, unheard: int, out: Tensor) -> None:
    """Write W x + b of every frame, with the bias alone in the first columns, which hear nothing."""
    matrix, flat = w.flatten(0, 1).t(), inputs.flatten(0, 1)
    if unheard:
        out[:, :unheard] = bias[:unheard]
    torch.addmm(bias[unheard:], flat, matrix, out=out[:, unheard:])


def _active(inputs: Tensor, size: Sizes, most: int, workspace: Workspace) -> tuple[Tensor, Tensor] | None:
    """Return which cells of every frame sound, and how many, if the inputs are a sparse piano roll."""
    if not most:
        return None
    frames = size.batch * size.frames
    active = workspace.take(frames, most, dtype=torch.int32)
    counts = workspace.take(frames, dtype=torch.int32)
    dense = torch.zeros(1, dtype=torch.int32)
    _common("find_active", inputs.dtype)(
        size.slices,
        rows=size.batch,
        frames=size.frames,
        width=size.width,
        inputs=inputs,
        active=active,
        counts=counts,
        most=most,
        dense=dense,
    )
    return None if dense.item() else (active, counts)


def pack(matrix: Tensor, columns: int, padded: int, workspace: Workspace | None = None) -> Tensor:
    """Return the blocks of a matrix (blocks * columns, K), each transposed, as products read them."""
    return _pack(matrix, matrix.shape[1], columns, padded, True, workspace)


def _pack(
    matrix: Tensor, depth: int, columns: int, padded: int, transposed: bool, workspace: Workspace | None
) -> Tensor:
    """Return blocks of ``depth * columns`` numbers as products read them, (blocks, depth * P)."""
    blocks = matrix.numel() // (depth * columns) if matrix.numel() else 0
    new = matrix.new_empty if workspace is None else partial(workspace.take, dtype=matrix.dtype)
    target: Tensor = new(blocks, depth * padded)
    if blocks:
        _common("pack", matrix.dtype)(
            1,
            rows=blocks,
            source=matrix.contiguous(),
            target=target,
            depth=depth,
            columns=columns,
            padded=padded,
            transposed=transposed,
        )
    return target


def ordered(u: Tensor, order: tuple[int, ...] | None) -> Tensor:
    """Return U, (blocks * H, H), with its blocks in the order in which kernels want them."""
    if order is None:
        return u
    return u.view(-1, u.shape[1], u.shape[1])[list(order)].flatten(0, 1)
