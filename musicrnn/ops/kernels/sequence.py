"""A recurrence over whole sequences, forward and backward, for any cell that gives its equations.

Each call works on a slice of the batch's rows, from the first frame to the last, and shares nothing with
the calls that work on other rows. Everything outside the recurrence (products with the inputs, gradients of
the matrices) is left to large products before and after. Within a step the state and the blocks of its rows
lie densely in a scratch area that stays in the cache; what the backward pass needs is written out once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from musicrnn.ops.kernels.equations import Equations, on_vectors
from musicrnn.ops.kernels.product import product
from musicrnn.ops.kernels.rows import add, add_in, clear, copy, copy_out
from musicrnn.ops.kernels.vectors import (
    add_each,
    lanes_of,
    load,
    load_each,
    offset,
    pointer,
    scalar,
    store,
    store_each,
)

FIELDS = (
    "rows",  # sequences in the batch, B
    "frames",  # T
    "hidden",  # units, H
    "padded",  # units up to a whole number of vectors, P
    "keep",  # whether to write out what the backward pass needs
    "blocks",  # (B, T, blocks * P): W x + b in, what the equations leave out; backward: gradients
    "matrix",  # the driven blocks of U, packed: forward U', backward U
    "second_matrix",  # the blocks of U behind the second product, packed likewise
    "constants",  # (constants, P)
    "mask",  # (B, T) bytes, zero on padding; 0: all frames are real
    "start",  # (states, B, H): the state before the first frame; backward: gradient of the last state
    "final",  # (states, B, H): the state after the last; backward: gradient of the first state
    "outputs",  # (B, T, H): the output of every frame; backward: its gradient
    "before",  # (states, B, T, P): the state before every frame
    "operand",  # (B, T, P): what the second product was taken of
    "gradients",  # (B, T, blocks * P): backward: gradients of the pre-activations
    "constant_gradients",  # (slices, constants, P), zero before
    "active",  # (B, T, most) integers: the cells of a piano roll that sound; 0: W x + b is in blocks
    "counts",  # (B, T) integers: how many those are
    "most",
    "input_matrix",  # (D, heard blocks * P)
    "bias",  # (blocks * P)
    "input_gradients",  # (slices, D, heard blocks * P), zero before
    "input_gradients_size",  # D * heard blocks * P
    "bias_gradients",  # (slices, blocks * P), zero before
    "scratch",  # (slices, scratch_size)
    "scratch_size",
)


def step_of(equations: Equations) -> Callable[..., None]:
    """Return the compiled step of a cell: the state of all rows of a slice moves one frame on.

    Its arguments: the blocks of the rows, holding W x + b, dense (rows, blocks * P); the states, dense
    (states, rows, P); room for an operand (rows, P); the packed matrices; the constants; rows, H, P; and
    the mask of the rows with its stride, or a stride of zero.
    """
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    driven = equations.products
    forward, two = equations.forward, equations.open is not None
    opening = equations.open or equations.forward

    @on_vectors
    def step(pre, state, operand, matrix, second_matrix, constant, rows, hidden, padded, live, stride):
        lanes = lanes_of(pre)
        width, vectors, plane = blocks * padded, padded // lanes, rows * padded
        for block in range(driven):
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
            for block in range(driven, blocks):
                part = offset(second_matrix, (block - driven) * hidden * padded)
                product(offset(pre, block * padded), width, operand, padded, part, rows, hidden, vectors)
        for row in range(rows):
            if stride != 0 and scalar(live, row * stride) == 0:
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
    blocks, states = equations.blocks, equations.states
    heard = equations.heard
    two = equations.open is not None
    step = step_of(equations)

    def forward(job, like, index, first, last):
        hidden, padded, frames, batch = job.hidden, job.padded, job.frames, job.rows
        rows, width, keep = last - first, blocks * job.padded, job.keep != 0
        plane = rows * padded
        pre = offset(pointer(job.scratch, like), index * job.scratch_size)
        state = offset(pre, rows * width)
        operand = offset(state, states * plane)
        kept = pointer(job.blocks, like)
        matrix, second = pointer(job.matrix, like), pointer(job.second_matrix, like)
        constant, bias = pointer(job.constants, like), pointer(job.bias, like)
        outputs, before = pointer(job.outputs, like), pointer(job.before, like)
        operands, mask = pointer(job.operand, like), pointer(job.mask, np.uint8(0))
        stride = frames if job.mask != 0 else 0
        active, counts = pointer(job.active, np.int32(0)), pointer(job.counts, np.int32(0))
        inputs = pointer(job.input_matrix, like)
        heard_width = (blocks - heard) * padded
        load_states(state, pointer(job.start, like), states, batch, hidden, padded, first, rows)
        for t in range(frames):
            for row in range(rows):
                frame = (first + row) * frames + t
                target = offset(pre, row * width)
                if job.active != 0:
                    copy(bias, target, width)
                    for bit in range(scalar(counts, frame)):
                        column = offset(inputs, scalar(active, frame * job.most + bit) * heard_width)
                        add(column, offset(target, heard * padded), heard_width)
                else:
                    copy(offset(kept, frame * width), target, width)
                if keep:
                    for number in range(states):
                        here = (number * batch * frames + frame) * padded
                        copy(offset(state, number * plane + row * padded), offset(before, here), padded)
            live = offset(mask, first * frames + t)
            step(pre, state, operand, matrix, second, constant, rows, hidden, padded, live, stride)
            for row in range(rows):
                frame = (first + row) * frames + t
                copy_out(offset(state, row * padded), offset(outputs, frame * hidden), hidden)
                if keep:
                    copy(offset(pre, row * width), offset(kept, frame * width), width)
                    if two:
                        copy(offset(operand, row * padded), offset(operands, frame * padded), padded)
        store_states(state, pointer(job.final, like), states, batch, hidden, padded, first, rows)

    return forward


def backward_of(equations: Equations) -> Callable[..., None]:
    """Return the backward pass of a cell over the rows of one slice."""
    blocks, states, constants = equations.blocks, equations.states, equations.constants
    driven, heard = equations.products, equations.heard
    gradient_of, two = equations.backward, equations.open is not None
    opening = equations.open_backward or equations.backward

    def backward(job, like, index, first, last):
        hidden, padded, frames, batch = job.hidden, job.padded, job.frames, job.rows
        rows, width = last - first, blocks * job.padded
        plane = rows * padded
        delta = offset(pointer(job.scratch, like), index * job.scratch_size)
        state = offset(delta, rows * width)
        operand = offset(state, states * plane)
        lanes = lanes_of(delta)
        vectors = padded // lanes
        kept, gradients = pointer(job.blocks, like), pointer(job.gradients, like)
        matrix, second = pointer(job.matrix, like), pointer(job.second_matrix, like)
        constant, before = pointer(job.constants, like), pointer(job.before, like)
        outputs, mask = pointer(job.outputs, like), pointer(job.mask, np.uint8(0))
        masked = job.mask != 0
        active, counts = pointer(job.active, np.int32(0)), pointer(job.counts, np.int32(0))
        heard_width = (blocks - heard) * padded
        inputs = offset(pointer(job.input_gradients, like), index * job.input_gradients_size)
        biases = offset(pointer(job.bias_gradients, like), index * width)
        sums = offset(pointer(job.constant_gradients, like), index * constants * padded)
        saved = batch * frames * padded
        load_states(state, pointer(job.start, like), states, batch, hidden, padded, first, rows)
        for t in range(frames - 1, -1, -1):
            for row in range(rows):
                frame = (first + row) * frames + t
                add_in(offset(outputs, frame * hidden), offset(state, row * padded), hidden)
                if masked and scalar(mask, frame) == 0:
                    clear(delta, offset(delta, row * width), width)
                    continue
                for unit in range(0, padded, lanes):
                    a = load_each(kept, frame * width + unit, padded, blocks)
                    h = load_each(before, frame * padded + unit, saved, states)
                    d = load_each(state, row * padded + unit, plane, states)
                    a, d, c = gradient_of(a, h, d, load_each(constant, unit, padded, constants))
                    store_each(a, delta, row * width + unit, padded)
                    store_each(d, state, row * padded + unit, plane)
                    add_each(c, sums, unit, padded)
            if two:
                clear(operand, operand, plane)
                for block in range(driven, blocks):
                    part = offset(second, (block - driven) * hidden * padded)
                    product(
                        operand, padded, offset(delta, block * padded), width, part, rows, hidden, vectors
                    )
                for row in range(rows):
                    frame = (first + row) * frames + t
                    if masked and scalar(mask, frame) == 0:
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
            for block in range(driven):
                part = offset(matrix, block * hidden * padded)
                product(state, padded, offset(delta, block * padded), width, part, rows, hidden, vectors)
            for row in range(rows):
                frame = (first + row) * frames + t
                source = offset(delta, row * width)
                copy(source, offset(gradients, frame * width), width)
                add(source, biases, width)
                if job.active != 0:
                    for bit in range(scalar(counts, frame)):
                        column = offset(inputs, scalar(active, frame * job.most + bit) * heard_width)
                        add(offset(source, heard * padded), column, heard_width)
        store_states(state, pointer(job.final, like), states, batch, hidden, padded, first, rows)

    return backward


@on_vectors
def load_states(state, source, states, batch, hidden, padded, first, rows):
    """Bring the rows of a slice from (states, B, H) into the scratch area, with zeros behind each."""
    clear(state, state, states * rows * padded)
    for number in range(states):
        for row in range(rows):
            place = offset(state, (number * rows + row) * padded)
            add_in(offset(source, (number * batch + first + row) * hidden), place, hidden)


@on_vectors
def store_states(state, target, states, batch, hidden, padded, first, rows):
    """Bring the rows of a slice from the scratch area back to (states, B, H)."""
    for number in range(states):
        for row in range(rows):
            place = offset(target, (number * batch + first + row) * hidden)
            copy_out(offset(state, (number * rows + row) * padded), place, hidden)
