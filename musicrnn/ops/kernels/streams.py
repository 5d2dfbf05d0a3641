"""Streams of frames drawn from a stack of layers, by the kernel of ``generation.py``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from musicrnn.ops import choices
from musicrnn.ops.cell import State
from musicrnn.ops.kernels import generation
from musicrnn.ops.kernels.compile import Entry
from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.recurrence import Operands, lanes_of, packer


@cache
def _kernel(equations: Equations, dtype: torch.dtype) -> Entry:
    body = generation.generation_of(equations)
    return Entry(f"{equations.name}_generation", body, generation.FIELDS, str(dtype).removeprefix("torch."))


class Streams:
    """Several pieces in the making, all from one network.

    Args:
        equations: Those of the cell.
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
        layers: Sequence[Operands],
        head: Tensor,
        head_bias: Tensor,
        state: Sequence[State],
        before: Tensor,
        pitches: int,
    ) -> None:
        dtype, (width, hidden) = head.dtype, head.shape
        lanes = lanes_of(dtype)
        padded, wide = (-(-size // lanes) * lanes for size in (hidden, width))
        self._kernel, self._width = _kernel(equations, dtype), width
        bits = _fill(before[:, :pitches].long(), -(-pitches // lanes) * lanes).unflatten(1, (-1, lanes))
        self._sounding = (bits << torch.arange(lanes)).sum(2)
        self._sizes = {
            "rows": len(before),
            "layers": len(layers),
            "width": width,
            "pitches": pitches,
            "hidden": hidden,
            "padded": padded,
            "head_padded": wide,
        }

        def blocks(tensor: Tensor) -> Tensor:
            """Append zeros to each block of H rows: (blocks * H, ...) -> (blocks, P, ...)."""
            parts = tensor.unflatten(0, (-1, hidden))
            return torch.cat([parts, parts.new_zeros(len(parts), padded - hidden, *parts.shape[2:])], dim=1)

        self._parameters = {
            "columns": blocks(layers[0].w).flatten(0, 1).t().contiguous(),
            "inputs": torch.cat(
                [head.new_zeros(0), *(_packed(layer.w, hidden, padded).flatten() for layer in layers[1:])]
            ),
            "bias": torch.stack([torch.roll(blocks(layer.b), equations.heard, 0) for layer in layers]),
            "matrix": torch.stack(
                [
                    _packed(_square(layer.u, hidden)[list(equations.rows_of_u)], hidden, padded)
                    for layer in layers
                ]
            ),
            "constants": torch.stack(
                [
                    torch.zeros(0) if layer.constants is None else _fill(layer.constants, padded)
                    for layer in layers
                ]
            ),
            "head": _packed(_fill(head.t(), wide).t(), wide, wide),
            "head_bias": _fill(head_bias, wide),
        }
        self._state = torch.stack([_fill(tensor, padded) for layer in state for tensor in layer])
        self._row = (equations.blocks + 1 + len(self._state)) * padded + wide

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
            self._sizes
            | {
                "frames": frames,
                "total": rolls.stride(0) // self._width,
                "scratch_size": scratch_size,
            },
            **self._parameters,
            states=self._state,
            sounding=self._sounding,
            active=torch.empty(streams, self._width, dtype=torch.int32),
            counts=torch.empty(streams, dtype=torch.int32),
            uniforms=uniforms.to(dtype).contiguous(),
            rolls=rolls,
            temperature=torch.tensor([temperature], dtype=dtype),
            threshold=torch.tensor([threshold], dtype=dtype),
            scratch=scratch,
        )


def _fill(tensor: Tensor, size: int) -> Tensor:
    """Append zeros to the last dimension."""
    return torch.nn.functional.pad(tensor, (0, size - tensor.shape[-1]))


def _square(u: Tensor, hidden: int) -> Tensor:
    """Return U as blocks (products, H, H); units that no block reaches get zeros."""
    rows = -(-len(u) // hidden) * hidden
    return torch.nn.functional.pad(u, (0, 0, 0, rows - len(u))).unflatten(0, (-1, hidden))


def _packed(matrices: Tensor, columns: int, padded: int) -> Tensor:
    """Pack matrices (columns, K), one after another, as products read them."""
    depth = matrices.shape[-1]
    count = matrices.numel() // (columns * depth)
    target = matrices.new_empty(count, depth, padded)
    sizes = {"rows": count, "depth": depth, "columns": columns, "padded": padded}
    packer(matrices.dtype)(1, sizes, source=matrices.contiguous(), target=target)
    return target
