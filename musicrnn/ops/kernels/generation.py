"""Generation compiled: network -> probabilities -> draw -> frame -> network, for many streams at once.

Each slice of the streams goes through all frames on its own, with its states, blocks and probabilities in
the cache. A frame is heard as the sum of the columns of W that belong to the cells that sound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from musicrnn.ops.kernels.equations import Equations
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.product import product
from musicrnn.ops.kernels.rows import add, copy
from musicrnn.ops.kernels.sequence import step_of
from musicrnn.ops.kernels.vectors import lanes_of, load, offset, pointer, put, scalar, store

FIELDS = (
    "rows",  # streams, B
    "frames",  # frames to draw
    "total",  # frames that a stream has room for
    "layers",  # L
    "width",  # D
    "pitches",  # cells that sound; the others, if any, say which of them start
    "hidden",  # units of a layer, H, without its context
    "padded",  # P
    "context",  # slow units of a layer, C; 0 but for the scrn
    "context_padded",  # Q
    "columns",  # (D, heard blocks * P): W' of the first layer
    "context_columns",  # (D, Q)
    "inputs",  # (L - 1, heard blocks, H * P): W of the others, packed
    "inputs_context",  # (L - 1, C * P): the same for the context of the layer below
    "context_inputs",  # (L - 1, H * Q)
    "context_inputs_context",  # (L - 1, C * Q)
    "own_context",  # (L, C * P): what the fast units hear of their layer's context
    "bias",  # (L, blocks * P)
    "context_bias",  # (L, Q)
    "matrix",  # (L, recurrent blocks, H * P): U, packed
    "constants",  # (L, constants, P)
    "alpha",  # (L, Q)
    "head",  # (H * E): the head's matrix, packed for E >= D columns
    "head_context",  # (C * E)
    "head_bias",  # (E)
    "head_padded",  # E
    "states",  # (L, states, B, P), in and out
    "context_states",  # (L, B, Q), in and out
    "before",  # (B, D) bytes: the frame heard last, in and out
    "uniforms",  # (B, frames, pitches): random numbers
    "rolls",  # (B, total, D) bytes: what is drawn
    "temperature",  # (1)
    "threshold",  # (1): zero to draw
    "scratch",
    "scratch_size",
)


def generation_of(equations: Equations, context: Equations | None) -> Callable[..., None]:
    """Return the kernel that draws frames from a stack of layers of a cell and independent sigmoids."""
    blocks, states, heard, driven = equations.blocks, equations.states, equations.heard, equations.products
    constants, slow = equations.constants, context is not None
    recurrent = driven + (blocks - driven if equations.open is not None else 0)
    step = step_of(equations)
    slow_step = step_of(context or equations)

    def generate(job, like, index, first, last):
        rows, hidden, padded, width = last - first, job.hidden, job.padded, job.width
        slow_hidden, slow_padded, pitches, batch = job.context, job.context_padded, job.pitches, job.rows
        row, plane, wide = blocks * padded, rows * padded, job.head_padded
        heard_row, slow_plane, layers = (blocks - heard) * padded, rows * slow_padded, job.layers
        pre = offset(pointer(job.scratch, like), index * job.scratch_size)
        operand = offset(pre, rows * row)
        chances = offset(operand, plane)
        state = offset(chances, rows * wide)
        slow_state = offset(state, layers * states * plane)
        slow_pre = offset(slow_state, layers * slow_plane)
        lanes = lanes_of(pre)
        vectors, slow_vectors = padded // lanes, slow_padded // lanes
        held, slow_held = pointer(job.states, like), pointer(job.context_states, like)
        columns, slow_columns = pointer(job.columns, like), pointer(job.context_columns, like)
        inputs, inputs_slow = pointer(job.inputs, like), pointer(job.inputs_context, like)
        slow_inputs = pointer(job.context_inputs, like)
        slow_inputs_slow, own = pointer(job.context_inputs_context, like), pointer(job.own_context, like)
        bias, slow_bias = pointer(job.bias, like), pointer(job.context_bias, like)
        matrix, constant = pointer(job.matrix, like), pointer(job.constants, like)
        alpha, head, head_slow = (
            pointer(job.alpha, like),
            pointer(job.head, like),
            pointer(job.head_context, like),
        )
        head_bias, uniforms = pointer(job.head_bias, like), pointer(job.uniforms, like)
        before, rolls = pointer(job.before, np.uint8(0)), pointer(job.rolls, np.uint8(0))
        temperature = scalar(pointer(job.temperature, like), 0)
        threshold = scalar(pointer(job.threshold, like), 0)
        one, zero = np.uint8(1), np.uint8(0)
        for plane_index in range(layers * states):
            copy(
                offset(held, (plane_index * batch + first) * padded),
                offset(state, plane_index * plane),
                plane,
            )
        if slow:
            for layer in range(layers):
                source = offset(slow_held, (layer * batch + first) * slow_padded)
                copy(source, offset(slow_state, layer * slow_plane), slow_plane)
        for t in range(job.frames):
            # What the top layer expects.
            for r in range(rows):
                copy(head_bias, offset(chances, r * wide), wide)
            top = offset(state, (layers - 1) * states * plane)
            product(chances, wide, top, padded, head, rows, hidden, wide // lanes)
            if slow:
                top_slow = offset(slow_state, (layers - 1) * slow_plane)
                product(chances, wide, top_slow, slow_padded, head_slow, rows, slow_hidden, wide // lanes)
            # What is drawn.
            for r in range(rows):
                stream = first + r
                chance = offset(chances, r * wide)
                for cell in range(0, wide, lanes):
                    store(sigmoid(load(chance, cell) / temperature), chance, cell)
                drawn = offset(rolls, (stream * job.total + t) * width)
                last_frame = offset(before, stream * width)
                numbers = offset(uniforms, (stream * job.frames + t) * pitches)
                for cell in range(width):
                    p = scalar(chance, cell)
                    on = p >= threshold if threshold > 0 else scalar(numbers, cell % pitches) < p
                    put(one if on else zero, drawn, cell)
                if width > pitches:  # a frame says what notes would: starts sound, and what is new starts
                    for pitch in range(pitches):
                        sounds = scalar(drawn, pitch) | scalar(drawn, pitch + pitches)
                        starts = scalar(drawn, pitch + pitches) | (sounds & (one - scalar(last_frame, pitch)))
                        put(np.uint8(sounds), drawn, pitch)
                        put(np.uint8(starts), drawn, pitch + pitches)
                for cell in range(width):
                    put(scalar(drawn, cell), last_frame, cell)
            # What is heard.
            for layer in range(layers):
                below, below_slow = layer - 1, layer - 1
                for r in range(rows):
                    copy(offset(bias, layer * row), offset(pre, r * row), row)
                    if slow:
                        copy(
                            offset(slow_bias, layer * slow_padded),
                            offset(slow_pre, r * slow_padded),
                            slow_padded,
                        )
                    if layer == 0:
                        last_frame = offset(before, (first + r) * width)
                        for cell in range(width):
                            if scalar(last_frame, cell) != 0:
                                add(
                                    offset(columns, cell * heard_row),
                                    offset(pre, r * row + heard * padded),
                                    heard_row,
                                )
                                if slow:
                                    column = offset(slow_columns, cell * slow_padded)
                                    add(column, offset(slow_pre, r * slow_padded), slow_padded)
                here, here_slow = (
                    offset(state, layer * states * plane),
                    offset(slow_state, layer * slow_plane),
                )
                if layer > 0:
                    lower = offset(state, below * states * plane)
                    for block in range(blocks - heard):
                        target = offset(pre, (heard + block) * padded)
                        part = offset(inputs, (below * (blocks - heard) + block) * hidden * padded)
                        product(target, row, lower, padded, part, rows, hidden, vectors)
                    if slow:
                        lower_slow = offset(slow_state, below_slow * slow_plane)
                        part = offset(inputs_slow, below * slow_hidden * padded)
                        product(pre, row, lower_slow, slow_padded, part, rows, slow_hidden, vectors)
                        part = offset(slow_inputs, below * hidden * slow_padded)
                        product(slow_pre, slow_padded, lower, padded, part, rows, hidden, slow_vectors)
                        part = offset(slow_inputs_slow, below * slow_hidden * slow_padded)
                        product(
                            slow_pre,
                            slow_padded,
                            lower_slow,
                            slow_padded,
                            part,
                            rows,
                            slow_hidden,
                            slow_vectors,
                        )
                if slow:
                    rate = offset(alpha, layer * slow_padded)
                    slow_step(
                        slow_pre,
                        here_slow,
                        operand,
                        matrix,
                        matrix,
                        rate,
                        rows,
                        slow_hidden,
                        slow_padded,
                        before,
                        0,
                    )
                    part = offset(own, layer * slow_hidden * padded)
                    product(pre, row, here_slow, slow_padded, part, rows, slow_hidden, vectors)
                u = offset(matrix, layer * recurrent * hidden * padded)
                second = offset(u, driven * hidden * padded)
                c = offset(constant, layer * constants * padded)
                step(pre, here, operand, u, second, c, rows, hidden, padded, before, 0)
        for plane_index in range(layers * states):
            copy(
                offset(state, plane_index * plane),
                offset(held, (plane_index * batch + first) * padded),
                plane,
            )
        if slow:
            for layer in range(layers):
                target = offset(slow_held, (layer * batch + first) * slow_padded)
                copy(offset(slow_state, layer * slow_plane), target, slow_plane)

    return generate
