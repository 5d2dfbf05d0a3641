"""Generation compiled: network -> probabilities -> sample -> frame -> network, for many pieces at once.

Each slice of the pieces goes through all frames on its own, with its states, blocks and probabilities in
the cache. W x of a frame is the sum of the columns of W that belong to its active cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from musicrnn.ops import choices
from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels.compile import Entry, claim_slice
from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.product import packed, product
from musicrnn.ops.kernels.recurrence import Fused
from musicrnn.ops.kernels.rows import add, copy
from musicrnn.ops.kernels.sequence import step_of
from musicrnn.ops.kernels.vectors import (
    below,
    get,
    lanes_in,
    lanes_of,
    load,
    load_some,
    lowest_bit,
    offset,
    pointer,
    put,
    store,
)

FIELDS = (
    "rows",  # pieces, B
    "frames",  # frames to sample
    "total",  # frames that a piece has room for
    "layers",  # L
    "width",  # D
    "pitches",  # cells that mean sounding pitches; the others, if any, are their onsets
    "hidden",  # units of a layer, H
    "padded",  # P
    "columns",  # (D, input blocks * P): W' of the first layer
    "inputs",  # (L - 1, input blocks, H * P): W of the others, packed
    "bias",  # (L, blocks * P)
    "matrix",  # (L, products, H * P): U, packed
    "constants",  # (L, constants, P)
    "head",  # (H * E): the head's matrix, packed for E >= D columns
    "head_bias",  # (E)
    "head_padded",  # E
    "states",  # (L, states, B, P), in and out
    "sounding",  # (B, vectors of pitches) integers: bits of the pitches that sounded last, in and out
    "active",  # (B, D) integers: room for the active cells of a frame
    "counts",  # (B) integers: and for their number
    "uniforms",  # (B, frames, pitches): random numbers
    "rolls",  # (B, total, D) bytes, zero before: the frames
    "temperature",  # (1)
    "threshold",  # (1): zero to sample
    "scratch",
    "scratch_size",
)


@inlined
def active_cells(number, chance, threshold, some):
    """Return which of the first cells are active, as bits: at random, or from a probability on."""
    if threshold > 0:
        return ~below(chance, chance * 0 + threshold) & ((1 << some) - 1)
    return below(number, chance)


@inlined
def write_cells(bits, first, frame, active, count):
    """Set the cells of these bits in a frame and append them to the active ones; return their number."""
    while bits != 0:
        cell = first + lowest_bit(bits)
        put(np.uint8(1), frame, cell)
        put(np.int32(cell), active, count)
        bits, count = bits & (bits - 1), count + 1
    return count


@inlined
def sample_frame(chance, numbers, threshold, frame, sounding, active, pitches, width):
    """Sample a frame from probabilities and random numbers; return the number of its active cells.

    It is consistent with notes: a pitch that starts sounds, and one that sounds but didn't before starts.
    """
    count, lanes = 0, lanes_of(chance)
    for pitch in range(0, pitches, lanes):
        some = min(lanes, pitches - pitch)
        number, mark = load_some(numbers, pitch, some), pitch // lanes
        sounds = active_cells(number, load_some(chance, pitch, some), threshold, some)
        starts = 0
        if width > pitches:
            starts = active_cells(number, load_some(chance, pitches + pitch, some), threshold, some)
            sounds |= starts
            starts |= sounds & ~get(sounding, mark)
        put(sounds, sounding, mark)
        count = write_cells(sounds, pitch, frame, active, count)
        count = write_cells(starts, pitches + pitch, frame, active, count)
    return count


def generation_of(equations: Equations) -> Callable[..., None]:
    """Return the kernel that samples frames from a stack of layers of a cell and independent sigmoids."""
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    first_input, input_blocks = equations.first_input_block, equations.input_blocks
    recurrent, products = equations.recurrent_blocks, len(equations.rows_of_u)
    step = step_of(equations)

    def generate(record):
        args, like, index, first, last = claim_slice(record)
        rows, hidden, padded, width = last - first, args.hidden, args.padded, args.width
        pitches, batch, layers = args.pitches, args.rows, args.layers
        row, plane, wide, input_row = blocks * padded, rows * padded, args.head_padded, input_blocks * padded
        pre = offset(pointer(args.scratch, like), index * args.scratch_size)
        operand = offset(pre, rows * row)
        chances = offset(operand, plane)
        state = offset(chances, rows * wide)
        lanes = lanes_of(pre)
        vectors, marks = padded // lanes, -(-pitches // lanes)
        held, columns = pointer(args.states, like), pointer(args.columns, like)
        inputs, bias = pointer(args.inputs, like), pointer(args.bias, like)
        matrix, constant = pointer(args.matrix, like), pointer(args.constants, like)
        head, head_bias = pointer(args.head, like), pointer(args.head_bias, like)
        uniforms, rolls = pointer(args.uniforms, like), pointer(args.rolls, np.uint8(0))
        temperature = get(pointer(args.temperature, like), 0)
        threshold = get(pointer(args.threshold, like), 0)
        sounding = offset(pointer(args.sounding, np.int64(0)), first * marks)
        active = offset(pointer(args.active, np.int32(0)), first * width)
        counts = offset(pointer(args.counts, np.int32(0)), first)
        for number in range(layers * states):
            copy(offset(held, (number * batch + first) * padded), offset(state, number * plane), plane)
        for t in range(args.frames):
            for r in range(rows):
                copy(head_bias, offset(chances, r * wide), wide)
            top = offset(state, (layers - 1) * states * plane)
            product(chances, wide, top, padded, head, rows, hidden, wide // lanes)
            for r in range(rows):
                chance = offset(chances, r * wide)
                for cell in range(0, wide, lanes):
                    store(sigmoid(load(chance, cell) / temperature), chance, cell)
                frame = offset(rolls, ((first + r) * args.total + t) * width)
                numbers = offset(uniforms, ((first + r) * args.frames + t) * pitches)
                marked, listed = offset(sounding, r * marks), offset(active, r * width)
                count = sample_frame(chance, numbers, threshold, frame, marked, listed, pitches, width)
                put(np.int32(count), counts, r)
            for layer in range(layers):
                here = offset(state, layer * states * plane)
                for r in range(rows):
                    copy(offset(bias, layer * row), offset(pre, r * row), row)
                    if layer == 0:
                        for number in range(get(counts, r)):
                            cell = get(active, r * width + number)
                            target = offset(pre, r * row + first_input * padded)
                            add(offset(columns, cell * input_row), target, input_row)
                if layer > 0:
                    lower = offset(state, (layer - 1) * states * plane)
                    for block in range(input_blocks):
                        target = offset(pre, (first_input + block) * padded)
                        part = offset(inputs, ((layer - 1) * input_blocks + block) * hidden * padded)
                        product(target, row, lower, padded, part, rows, hidden, vectors)
                u = offset(matrix, layer * products * hidden * padded)
                second = offset(u, recurrent * hidden * padded)
                c = offset(constant, layer * constants * padded)
                step(pre, here, operand, u, second, c, rows, hidden, padded, padded, rolls, 0)
        for number in range(layers * states):
            copy(offset(state, number * plane), offset(held, (number * batch + first) * padded), plane)

    return generate


@cache
def _kernel(equations: Equations, dtype: torch.dtype) -> Entry:
    body = generation_of(equations)
    return Entry(f"{equations.name}_generation", body, FIELDS, dtype)


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
        equations, constants = kernels.of(layers[0]), [kernels.constants(layer) for layer in layers]
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
        later = [packed(layer.input, hidden, padded).flatten() for layer in layers[1:]]
        self._parameters = {
            "columns": blocks(layers[0].input).flatten(0, 1).t().contiguous(),
            "inputs": torch.cat([none, *later]),
            "bias": torch.stack(
                [blocks(layer.bias).roll(equations.first_input_block, 0) for layer in layers]
            ),
            "matrix": torch.stack([matrices(layer.hidden) for layer in layers]),
            "constants": torch.stack([none if each is None else _fill(each, padded) for each in constants]),
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
        # a slice ends before the next one starts: 64 pieces of a small network fit in a core's cache
        slices = choices.slices(pieces, least=-(-pieces // 64))
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
