"""Generation compiled: network -> probabilities -> draw -> frame -> network, for many streams at once.

Each slice of the streams goes through all frames on its own, with its states, blocks and probabilities in
the cache. A frame is heard as the sum of the columns of W that belong to the cells that sound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from musicrnn.ops.kernels.equations import Equations, on_vectors
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
    "sounding",  # (B, vectors of pitches) integers: bits of the pitches that sounded last, in and out
    "active",  # (B, D) integers: room for the cells that are on
    "counts",  # (B) integers: and for how many those are
    "uniforms",  # (B, frames, pitches): random numbers
    "rolls",  # (B, total, D) bytes, zero before: what is drawn
    "temperature",  # (1)
    "threshold",  # (1): zero to draw
    "scratch",
    "scratch_size",
)


@on_vectors
def on(number, chance, threshold, some):
    """Return which of the first cells are on, as bits: drawn, or where their probability is high enough."""
    if threshold > 0:
        return ~below(chance, chance * 0 + threshold) & ((1 << some) - 1)
    return below(number, chance)


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
        rolls = pointer(job.rolls, np.uint8(0))
        temperature = scalar(pointer(job.temperature, like), 0)
        threshold = scalar(pointer(job.threshold, like), 0)
        one = np.uint8(1)
        marks = -(-pitches // lanes)
        sounding = offset(pointer(job.sounding, np.int64(0)), first * marks)
        active = offset(pointer(job.active, np.int32(0)), first * width)
        counts = offset(pointer(job.counts, np.int32(0)), first)
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
                stream, count = first + r, 0
                chance = offset(chances, r * wide)
                for cell in range(0, wide, lanes):
                    store(sigmoid(load(chance, cell) / temperature), chance, cell)
                drawn = offset(rolls, (stream * job.total + t) * width)
                numbers = offset(uniforms, (stream * job.frames + t) * pitches)
                for pitch in range(0, pitches, lanes):
                    some = min(lanes, pitches - pitch)
                    number, mark = load_some(numbers, pitch, some), r * marks + pitch // lanes
                    sounds = on(number, load_some(chance, pitch, some), threshold, some)
                    starts = 0
                    if width > pitches:  # a frame says what notes would: starts sound, and what is new starts
                        starts = on(number, load_some(chance, pitches + pitch, some), threshold, some)
                        sounds |= starts
                        starts |= sounds & ~scalar(sounding, mark)
                    put(sounds, sounding, mark)
                    while sounds != 0:
                        cell = pitch + lowest_bit(sounds)
                        put(one, drawn, cell)
                        put(np.int32(cell), active, r * width + count)
                        sounds, count = sounds & (sounds - 1), count + 1
                    while starts != 0:
                        cell = pitches + pitch + lowest_bit(starts)
                        put(one, drawn, cell)
                        put(np.int32(cell), active, r * width + count)
                        starts, count = starts & (starts - 1), count + 1
                put(np.int32(count), counts, r)
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
                        for number in range(scalar(counts, r)):
                            cell = scalar(active, r * width + number)
                            target = offset(pre, r * row + heard * padded)
                            add(offset(columns, cell * heard_row), target, heard_row)
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
                        rolls,
                        0,
                    )
                    part = offset(own, layer * slow_hidden * padded)
                    product(pre, row, here_slow, slow_padded, part, rows, slow_hidden, vectors)
                u = offset(matrix, layer * recurrent * hidden * padded)
                second = offset(u, driven * hidden * padded)
                c = offset(constant, layer * constants * padded)
                step(pre, here, operand, u, second, c, rows, hidden, padded, rolls, 0)
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
