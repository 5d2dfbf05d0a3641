"""Generation compiled: network -> probabilities -> sample -> frame -> network, for many pieces at once.

Each slice of the pieces goes through all frames on its own, with its states, blocks and probabilities in
the cache. W x of a frame is the sum of the columns of W that belong to its active cells.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from musicrnn.ops.kernels.compile import arguments_at, claim_slice, rows_of_slice
from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.product import product
from musicrnn.ops.kernels.rows import add, copy
from musicrnn.ops.kernels.sequence import step_of
from musicrnn.ops.kernels.vectors import (
    below,
    lanes_of,
    load,
    load_some,
    lowest_bit,
    offset,
    pointer,
    put,
    scalar,
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
            starts |= sounds & ~scalar(sounding, mark)
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
        args = arguments_at(record)
        like, index = args.like, claim_slice(record)
        first, last = rows_of_slice(index, args)
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
        temperature = scalar(pointer(args.temperature, like), 0)
        threshold = scalar(pointer(args.threshold, like), 0)
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
                        for number in range(scalar(counts, r)):
                            cell = scalar(active, r * width + number)
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
