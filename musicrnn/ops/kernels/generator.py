"""Sampling of frames from a stack of layers, by the kernel of ``generation.py``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from musicrnn.ops import choices
from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels import generation
from musicrnn.ops.kernels.compile import Entry
from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.packing import packed
from musicrnn.ops.kernels.recurrence import Fused
from musicrnn.ops.kernels.vectors import lanes_in


@cache
def _kernel(equations: Equations, dtype: torch.dtype) -> Entry:
    body = generation.generation_of(equations)
    return Entry(f"{equations.name}_generation", body, generation.FIELDS, dtype)


class CompiledGenerator:
    """Samples several pieces, frame by frame, from one network.

    Args:
        kernels: Those of the cell.
        layers: The layers' parameters.
        head: The head's matrix, shape (D, H).
        head_bias: Its bias, shape (D,).
        state: State of every layer, tensors of shape (B, H).
        before: The last input frame, bytes of shape (B, D).
        pitches: Cells of a frame that mean sounding pitches; as many onsets may follow them.
    """

    def __init__(
        self,
        kernels: Fused,
        layers: Sequence[Weights],
        head: Tensor,
        head_bias: Tensor,
        state: Sequence[State],
        before: Tensor,
        pitches: int,
    ) -> None:
        equations, operands = kernels.of(layers[0]), [kernels.arrange(layer) for layer in layers]
        dtype, (width, hidden) = head.dtype, head.shape
        lanes = lanes_in(dtype)
        padded, wide = (-(-size // lanes) * lanes for size in (hidden, width))
        self._kernel = _kernel(equations, dtype)
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

        def matrices(u: Tensor) -> Tensor:
            """Pack the blocks of U, with zeros for units that no block reaches."""
            square = pad(u, (0, 0, 0, -len(u) % hidden)).unflatten(0, (-1, hidden))
            return packed(square[list(equations.rows_of_u)], hidden, padded)

        none = head.new_zeros(0)
        later = [packed(layer.w, hidden, padded).flatten() for layer in operands[1:]]
        constants = [
            none if layer.constants is None else _fill(layer.constants, padded) for layer in operands
        ]
        self._parameters = {
            "columns": blocks(operands[0].w).flatten(0, 1).t().contiguous(),
            "inputs": torch.cat([none, *later]),
            "bias": torch.stack([blocks(layer.b).roll(equations.first_input_block, 0) for layer in operands]),
            "matrix": torch.stack([matrices(layer.u) for layer in operands]),
            "constants": torch.stack(constants),
            "head": packed(_fill(head.t(), wide).t(), wide, wide),
            "head_bias": _fill(head_bias, wide),
        }
        self._state = torch.stack([_fill(tensor, padded) for layer in state for tensor in layer])
        self._row = (equations.blocks + 1 + len(self._state)) * padded + wide

    @property
    def state(self) -> tuple[State, ...]:
        """State of every layer after the last frame, tensors of shape (B, H)."""
        tensors = self._state[..., : self._sizes["hidden"]].clone().unflatten(0, (self._sizes["layers"], -1))
        return tuple(tuple(layer) for layer in tensors)

    def sample(
        self, uniforms: Tensor, rolls: Tensor, temperature: float = 1.0, threshold: float = 0.0
    ) -> None:
        """Sample the next frames of every piece.

        Args:
            uniforms: Random numbers in [0, 1), shape (B, N, pitches).
            rolls: Room for the N frames: bytes of shape (B, N, D), dense but for the first dimension.
            temperature: Divides the log-odds.
            threshold: If above zero, nothing is random: a cell sounds where its probability reaches it.
        """
        (pieces, frames, _), width, dtype = uniforms.shape, rolls.shape[2], self._state.dtype
        slices = choices.generator_slices(pieces)
        scratch_size = -(-pieces // slices) * self._row
        sizes = {"frames": frames, "total": rolls.stride(0) // width, "scratch_size": scratch_size}
        rolls.zero_()
        self._kernel(
            slices,
            self._sizes | sizes,
            **self._parameters,
            states=self._state,
            sounding=self._sounding,
            active=torch.empty(pieces, width, dtype=torch.int32),
            counts=torch.empty(pieces, dtype=torch.int32),
            uniforms=uniforms.to(dtype).contiguous(),
            rolls=rolls,
            temperature=torch.tensor([temperature], dtype=dtype),
            threshold=torch.tensor([threshold], dtype=dtype),
            scratch=torch.empty(slices * scratch_size, dtype=dtype),
        )


def _fill(tensor: Tensor, size: int) -> Tensor:
    """Append zeros to the last dimension."""
    return pad(tensor, (0, size - tensor.shape[-1]))
