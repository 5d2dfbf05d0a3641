"""Streams of frames drawn from a stack of layers, by the kernel of ``generation.py``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from musicrnn.ops import choices
from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels import generation
from musicrnn.ops.kernels.compile import Entry
from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.recurrence import ordered, pack, pad, padded_size


@cache
def _kernel(equations: Equations, context: Equations | None, dtype: torch.dtype) -> Entry:
    body = generation.generation_of(equations, context)
    return Entry(f"{equations.name}_generation", body, generation.FIELDS, str(dtype).removeprefix("torch."))


class Streams:
    """Several pieces in the making, all from one network.

    Args:
        equations: Those of the cell.
        context: Those of its context units; None but for the scrn.
        layers: The layers' parameters.
        head: The head's matrix, shape (D, H).
        head_bias: Its bias, shape (D,).
        state: State of every layer, tensors of shape (B, H).
        before: The frame heard last, bytes of shape (B, D).
        pitches: How many cells of a frame sound; behind them there may be as many that say which ones start.
    """

    def __init__(
        self,
        equations: Equations,
        context: Equations | None,
        layers: Sequence[Weights],
        head: Tensor,
        head_bias: Tensor,
        state: Sequence[State],
        before: Tensor,
        pitches: int,
    ) -> None:
        dtype, width = head.dtype, len(head)
        fast = len(layers[0].hidden) // _recurrent(equations) if context else head.shape[1]
        slow = head.shape[1] - fast
        padded, wide = padded_size(fast, dtype), padded_size(width, dtype)
        slow_padded = padded_size(slow, dtype)
        self._kernel, self._width = _kernel(equations, context, dtype), width
        lanes = padded_size(1, dtype)
        bits = _fill(before[:, :pitches].long(), -(-pitches // lanes) * lanes).unflatten(1, (-1, lanes))
        self._sounding = (bits << torch.arange(lanes)).sum(2)
        self._sizes = {
            "rows": len(before),
            "layers": len(layers),
            "width": width,
            "pitches": pitches,
            "hidden": fast,
            "padded": padded,
            "context": slow,
            "context_padded": slow_padded,
            "head_padded": wide,
        }
        slow_rows = slice(equations.blocks * fast, None) if slow else slice(0, 0)
        rows = slice(None, len(layers[0].input) - slow)

        def columns(matrix: Tensor, hidden: int, size: int) -> Tensor:
            return pad(matrix, hidden, size).flatten(0, 1).t().contiguous() if hidden else matrix

        def packed(matrices: list[Tensor], hidden: int, size: int) -> Tensor:
            """Pack matrices (blocks * hidden, K) as products read them."""
            return (
                torch.cat([pack(matrix, hidden, size).flatten() for matrix in matrices])
                if matrices
                else head[:0]
            )

        upper = layers[1:]
        self._parameters = {
            "columns": columns(layers[0].input[rows], fast, padded),
            "context_columns": columns(layers[0].input[slow_rows], slow, slow_padded),
            "inputs": packed([layer.input[rows, :fast] for layer in upper], fast, padded),
            "inputs_context": packed([layer.input[rows, fast:] for layer in upper], fast, padded),
            "context_inputs": packed([layer.input[slow_rows, :fast] for layer in upper], slow, slow_padded),
            "context_inputs_context": packed(
                [layer.input[slow_rows, fast:] for layer in upper], slow, slow_padded
            ),
            "own_context": packed([layer.hidden[:, fast:] for layer in layers], fast, padded),
            "bias": torch.stack(
                [
                    torch.roll(
                        pad(layer.bias[: len(layer.bias) - slow], fast, padded), equations.heard, 0
                    ).flatten()
                    for layer in layers
                ]
            ),
            "context_bias": torch.stack(
                [_fill(layer.bias[len(layer.bias) - slow :], slow_padded) for layer in layers]
            ),
            "matrix": packed(
                [ordered(layer.hidden[:, :fast], equations.order) for layer in layers], fast, padded
            ),
            "constants": torch.stack([_constants(layer, fast, padded) for layer in layers]),
            "alpha": torch.stack(
                [
                    _fill(layer.alpha if layer.alpha is not None else head[0, :0], slow_padded)
                    for layer in layers
                ]
            ),
            "head": packed([_fill(head[:, :fast].t(), wide).t()], wide, wide),
            "head_context": packed([_fill(head[:, fast:].t(), wide).t()], wide, wide),
            "head_bias": _fill(head_bias, wide),
        }
        self._state = torch.stack([_fill(tensor[:, :fast], padded) for layer in state for tensor in layer])
        self._context_state = torch.stack([_fill(layer[0][:, fast:], slow_padded) for layer in state])
        row = (
            equations.blocks * padded
            + padded
            + wide
            + len(layers) * (len(state[0]) * padded + slow_padded)
            + slow_padded
        )
        self._row = row

    def draw(self, uniforms: Tensor, rolls: Tensor, temperature: float = 1.0, threshold: float = 0.0) -> None:
        """Draw the next frames of every stream.

        Args:
            uniforms: Random numbers in [0, 1), shape (B, N, pitches).
            rolls: Where the frames go: bytes of shape (B, N, D), dense but for the first dimension.
            temperature: Divides the log-odds.
            threshold: If above zero nothing is drawn: a cell sounds where its probability reaches it.
        """
        streams, frames = uniforms.shape[:2]
        slices = choices.stream_slices(streams)
        dtype = self._state.dtype
        scratch_size = -(-streams // slices) * self._row
        scratch = torch.empty(slices * scratch_size, dtype=dtype)
        rolls.zero_()
        self._kernel(
            slices,
            **self._sizes,
            **self._parameters,
            frames=frames,
            total=rolls.stride(0) // self._width,
            states=self._state,
            context_states=self._context_state,
            sounding=self._sounding,
            active=torch.empty(streams, self._width, dtype=torch.int32),
            counts=torch.empty(streams, dtype=torch.int32),
            uniforms=uniforms.to(dtype).contiguous(),
            rolls=rolls,
            temperature=torch.tensor([temperature], dtype=dtype),
            threshold=torch.tensor([threshold], dtype=dtype),
            scratch=scratch,
            scratch_size=scratch_size,
        )


def _recurrent(equations: Equations) -> int:
    """Return how many blocks of rows U has."""
    return equations.blocks if equations.open is not None else equations.products


def _constants(layer: Weights, hidden: int, padded: int) -> Tensor:
    nothing = layer.bias.new_zeros(0)
    return pad(nothing if layer.peepholes is None else layer.peepholes.flatten(), hidden, padded)


def _fill(tensor: Tensor, size: int) -> Tensor:
    """Append zeros to the last dimension."""
    return torch.nn.functional.pad(tensor, (0, size - tensor.shape[-1]))
