"""A recurrence over whole sequences, forward and backward, for any cell that gives its equations.

Each call works on a slice of the batch's rows, from the first frame to the last, and shares nothing with
the calls that work on other rows. Everything outside the recurrence (products with the inputs, gradients of
the matrices) is left to large products before and after. Within a step the state and the blocks of its rows
lie densely in a scratch area that stays in the cache; what the backward pass needs is written out once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from musicrnn.ops.kernels.compile import claim_slice
from musicrnn.ops.kernels.equations import Equations, inlined, shared_function
from musicrnn.ops.kernels.product import pack_panels, product
from musicrnn.ops.kernels.rolls import add_outer, move_columns
from musicrnn.ops.kernels.rows import add, add_in, clear, copy, copy_in, copy_out
from musicrnn.ops.kernels.vectors import (
    add_each,
    get,
    lanes_of,
    load,
    load_each,
    offset,
    pointer,
    store,
    store_each,
)

FIELDS = (
    "rows",  # sequences in the batch, B
    "frames",  # T
    "width",  # D
    "hidden",  # units, H
    "padded",  # units up to a whole number of vectors, P
    "keep",  # whether to write out what the backward pass needs
    "sparse",  # whether W x is to be summed column by column
    "inputs",  # (B, T, D), read if sparse
    "w",  # (input blocks * H, D), read if sparse
    "reached",  # rows in a block of U, R: the units that U h reaches, H unless there is one block
    "u",  # (products * R, H)
    "b",  # (blocks * H), those without input last
    "constants",  # (constants, H)
    "mask",  # (B, T) bytes, zero on padding; 0: all frames are real
    "start",  # (states, B, H): the state before the first frame; backward: gradient of the last, 0: zeros
    "final",  # (states, B, H): the state after the last; backward: gradient of the first state
    "outputs",  # (B, T, H): the output of every frame; backward: its gradient
    "blocks",  # (B, T, blocks * P): what the equations leave out; before them W x + b, unless sparse, packed
    "before",  # (states, B, T, P): the state before every frame
    "operand",  # (B, T, H): operand of the second product
    "gradients",  # (B, T, blocks * H): backward: gradients of the pre-activations
    "w_gradients",  # (slices, input blocks * H, D), if sparse
    "b_gradients",  # (slices, blocks * H)
    "constant_gradients",  # (slices, constants, H)
    "scratch",  # (slices, scratch_size)
    "scratch_size",
)


def scratch_size(equations: Equations, rows: int, width: int, hidden: int, padded: int, sparse: bool) -> int:
    """Return the size of the scratch area of a slice, in numbers; see ``begin_of``."""
    each = equations.blocks + equations.states + 1
    matrices = len(equations.rows_of_u) * hidden + (width * equations.input_blocks if sparse else 0)
    return (rows * each + matrices + equations.blocks + 2 * equations.constants) * padded


def begin_of(equations: Equations) -> Callable[..., Any]:
    """Return the compiled beginning of a pass: it claims a slice and lays out its scratch area.

    It returns the arguments, the slice's index, first row and number of rows, and addresses of these arrays,
    or of their gradients in the backward pass: blocks (rows, blocks * P), states (states, rows, P), operand
    of the second product (rows, P), packed U (products, H * P) and its part for the second product, bias
    (blocks * P), constants (constants, P), sums of their gradients, and columns of W for sparse inputs
    (D, input blocks * P).
    """
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    recurrent, products = equations.recurrent_blocks, len(equations.rows_of_u)

    @inlined
    def begin(record):
        args, like, index, first, last = claim_slice(record)
        rows, hidden, padded = last - first, args.hidden, args.padded
        pre = offset(pointer(args.scratch, like), index * args.scratch_size)
        state = offset(pre, rows * blocks * padded)
        operand = offset(state, states * rows * padded)
        matrix = offset(operand, rows * padded)
        second = offset(matrix, recurrent * hidden * padded)
        bias = offset(matrix, products * hidden * padded)
        constant = offset(bias, blocks * padded)
        sums = offset(constant, constants * padded)
        columns = offset(sums, constants * padded)
        for number in range(constants):
            source = offset(pointer(args.constants, like), number * hidden)
            copy_in(source, offset(constant, number * padded), hidden)
        return (
            args,
            (index, first, rows),
            (pre, state, operand, matrix, second, bias, constant, sums, columns),
        )

    return begin


def step_of(equations: Equations) -> Callable[..., None]:
    """Return the compiled step of a cell: the state of all rows of a slice moves one frame on.

    Its arguments: the blocks of the rows, holding W x + b, dense (rows, blocks * P); the states, dense
    (states, rows, P); room for an operand (rows, P); the packed matrices; the constants; rows, H, P; R up to
    a whole number of vectors; and the mask of the rows with its stride, or a stride of zero.
    """
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    recurrent, forward, two = equations.recurrent_blocks, equations.forward, equations.open is not None
    opening = equations.open or equations.forward

    @inlined
    def step(pre, state, operand, matrix, second_matrix, constant, rows, hidden, padded, reach, live, stride):
        lanes = lanes_of(pre)
        width, vectors, plane = blocks * padded, reach // lanes, rows * padded
        for block in range(recurrent):
            part = offset(matrix, block * hidden * padded)
            product(offset(pre, block * padded), width, state, padded, part, rows, hidden, vectors)
        if two:
            for row in range(rows):
                for unit in range(0, padded, lanes):
                    a = load_each(pre, row * width + unit, padded, blocks)
                    h = load_each(state, row * padded + unit, plane, states)
                    a, made = opening(a, h, load_each(constant, unit, padded, constants))
                    store_each(a, pre, row * width + unit, padded)
                    store(made, operand, row * padded + unit)
            for block in range(recurrent, blocks):
                part = offset(second_matrix, (block - recurrent) * hidden * padded)
                product(offset(pre, block * padded), width, operand, padded, part, rows, hidden, vectors)
        for row in range(rows):
            if stride != 0 and get(live, row * stride) == 0:
                continue
            for unit in range(0, padded, lanes):
                a = load_each(pre, row * width + unit, padded, blocks)
                h = load_each(state, row * padded + unit, plane, states)
                a, h = forward(a, h, load_each(constant, unit, padded, constants))
                store_each(a, pre, row * width + unit, padded)
                store_each(h, state, row * padded + unit, plane)

    return step


def forward_of(equations: Equations) -> Callable[..., None]:
    """Return the forward pass of a cell over the rows of one slice."""
    blocks, states, order = equations.blocks, equations.states, equations.rows_of_u
    first_input, input_blocks = equations.first_input_block, equations.input_blocks
    two, begin, step = equations.open is not None, begin_of(equations), step_of(equations)

    def forward(record):
        args, (_, first, rows), area = begin(record)
        pre, state, operand, matrix, second, bias, constant, _, columns = area
        like, hidden, padded, frames, batch = args.like, args.hidden, args.padded, args.frames, args.rows
        width, plane, keep, reached = blocks * padded, rows * padded, args.keep != 0, args.reached
        sparse, cells, input_row = args.sparse != 0, args.width, input_blocks * padded
        lanes = lanes_of(pre)
        reach = -(-reached // lanes) * lanes
        inputs, kept = pointer(args.inputs, like), pointer(args.blocks, like)
        outputs, before = pointer(args.outputs, like), pointer(args.before, like)
        operands, mask = pointer(args.operand, like), pointer(args.mask, np.uint8(0))
        stride = frames if args.mask != 0 else 0
        for block in range(len(order)):
            u = offset(pointer(args.u, like), order[block] * reached * hidden)
            pack_panels(u, offset(matrix, block * hidden * padded), hidden, reached, reach, 1)
        for block in range(blocks):
            source = offset(pointer(args.b, like), (block - first_input) % blocks * hidden)
            copy_in(source, offset(bias, block * padded), hidden)
        if sparse:
            move_columns(pointer(args.w, like), columns, input_blocks, cells, hidden, padded, 0)
        move_states(state, pointer(args.start, like), states, batch, hidden, padded, first, rows, 0)
        for t in range(frames):
            for row in range(rows):
                frame = (first + row) * frames + t
                target = offset(pre, row * width)
                if sparse:
                    copy(bias, target, width)
                    target = offset(target, first_input * padded)
                    add_outer(offset(inputs, frame * cells), cells, columns, input_row, target, 0, input_row)
                else:
                    copy(bias, target, first_input * padded)
                    for block in range(input_blocks):
                        source = offset(kept, frame * width + block * hidden)
                        copy_in(source, offset(target, (first_input + block) * padded), hidden)
                if keep:
                    for number in range(states):
                        here = (number * batch * frames + frame) * padded
                        copy(offset(state, number * plane + row * padded), offset(before, here), padded)
            live = offset(mask, first * frames + t)
            step(pre, state, operand, matrix, second, constant, rows, hidden, padded, reach, live, stride)
            for row in range(rows):
                frame = (first + row) * frames + t
                copy_out(offset(state, row * padded), offset(outputs, frame * hidden), hidden)
                if keep:
                    copy(offset(pre, row * width), offset(kept, frame * width), width)
                    if two:
                        copy_out(offset(operand, row * padded), offset(operands, frame * hidden), hidden)
        move_states(state, pointer(args.final, like), states, batch, hidden, padded, first, rows, 1)

    return forward


def step_backward_of(equations: Equations) -> Callable[..., None]:
    """Return the compiled backward step of a cell: the gradient of the state moves one frame back.

    Its arguments: the arguments of the pass, first row, number of rows, the scratch area, and the frame.
    """
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    recurrent, backward, two = equations.recurrent_blocks, equations.backward, equations.open is not None
    opening = equations.open_backward or equations.backward

    @inlined
    def step_backward(args, first, rows, area, t):
        delta, state, operand, matrix, second, _, constant, sums, _ = area
        like, hidden, padded, frames, reached = args.like, args.hidden, args.padded, args.frames, args.reached
        outputs, mask, masked = pointer(args.outputs, like), pointer(args.mask, np.uint8(0)), args.mask != 0
        kept, before, lanes = pointer(args.blocks, like), pointer(args.before, like), lanes_of(delta)
        width, plane, saved = blocks * padded, rows * padded, args.rows * frames * padded
        vectors = padded // lanes
        for row in range(rows):
            frame = (first + row) * frames + t
            add_in(offset(outputs, frame * hidden), offset(state, row * padded), hidden)
            if masked and get(mask, frame) == 0:
                clear(delta, offset(delta, row * width), width)
                continue
            for unit in range(0, padded, lanes):
                a = load_each(kept, frame * width + unit, padded, blocks)
                h = load_each(before, frame * padded + unit, saved, states)
                d = load_each(state, row * padded + unit, plane, states)
                a, d, c = backward(a, h, d, load_each(constant, unit, padded, constants))
                store_each(a, delta, row * width + unit, padded)
                store_each(d, state, row * padded + unit, plane)
                add_each(c, sums, unit, padded)
        if two:
            clear(operand, operand, plane)
            for block in range(recurrent, blocks):
                part = offset(second, (block - recurrent) * hidden * padded)
                product(operand, padded, offset(delta, block * padded), width, part, rows, reached, vectors)
            for row in range(rows):
                frame = (first + row) * frames + t
                if masked and get(mask, frame) == 0:
                    continue
                for unit in range(0, padded, lanes):
                    a = load_each(kept, frame * width + unit, padded, blocks)
                    h = load_each(before, frame * padded + unit, saved, states)
                    g = load_each(delta, row * width + unit, padded, blocks)
                    d = load_each(state, row * padded + unit, plane, states)
                    made = load(operand, row * padded + unit)
                    g, d, c = opening(a, h, g, made, d, load_each(constant, unit, padded, constants))
                    store_each(g, delta, row * width + unit, padded)
                    store_each(d, state, row * padded + unit, plane)
                    add_each(c, sums, unit, padded)
        for block in range(recurrent):
            part = offset(matrix, block * hidden * padded)
            product(state, padded, offset(delta, block * padded), width, part, rows, reached, vectors)

    return step_backward


def backward_of(equations: Equations) -> Callable[..., None]:
    """Return the backward pass of a cell over the rows of one slice."""
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    first_input, input_blocks = equations.first_input_block, equations.input_blocks
    order, begin, step_backward = equations.rows_of_u, begin_of(equations), step_backward_of(equations)

    def backward(record):
        args, (index, first, rows), area = begin(record)
        delta, state, _, matrix, _, biases, _, sums, columns = area
        like, hidden, padded, frames, batch = args.like, args.hidden, args.padded, args.frames, args.rows
        width, reached = blocks * padded, args.reached
        sparse, cells, input_row = args.sparse != 0, args.width, input_blocks * padded
        inputs, gradients = pointer(args.inputs, like), pointer(args.gradients, like)
        for block in range(len(order)):
            u = offset(pointer(args.u, like), order[block] * reached * hidden)
            pack_panels(u, offset(matrix, block * hidden * padded), reached, hidden, padded, 0)
        clear(biases, biases, width)
        clear(sums, sums, constants * padded)
        if sparse:
            clear(columns, columns, cells * input_row)
        if args.start != 0:
            move_states(state, pointer(args.start, like), states, batch, hidden, padded, first, rows, 0)
        else:
            clear(state, state, states * rows * padded)
        for t in range(frames - 1, -1, -1):
            step_backward(args, first, rows, area, t)
            for row in range(rows):
                frame = (first + row) * frames + t
                source = offset(delta, row * width)
                for block in range(blocks):
                    target = offset(gradients, (frame * blocks + block) * hidden)
                    copy_out(offset(source, block * padded), target, hidden)
                add(source, biases, width)
                if sparse:
                    source = offset(source, first_input * padded)
                    add_outer(offset(inputs, frame * cells), cells, source, 0, columns, input_row, input_row)
        move_states(state, pointer(args.final, like), states, batch, hidden, padded, first, rows, 1)
        for block in range(blocks):
            place = (index * blocks + (block - first_input) % blocks) * hidden
            copy_out(offset(biases, block * padded), offset(pointer(args.b_gradients, like), place), hidden)
        for number in range(constants):
            target = offset(pointer(args.constant_gradients, like), (index * constants + number) * hidden)
            copy_out(offset(sums, number * padded), target, hidden)
        if sparse:
            target = offset(pointer(args.w_gradients, like), index * input_blocks * hidden * cells)
            move_columns(target, columns, input_blocks, cells, hidden, padded, 1)

    return backward


@shared_function
def move_states(state, tensors, states, batch, hidden, padded, first, rows, out):
    """Copy rows of a slice from (states, B, H) into the scratch area, with zeros after each, or out of it."""
    for number in range(states):
        for row in range(rows):
            inside = offset(state, (number * rows + row) * padded)
            outside = offset(tensors, (number * batch + first + row) * hidden)
            if out:
                copy_out(inside, outside, hidden)
            else:
                copy_in(outside, inside, hidden)
