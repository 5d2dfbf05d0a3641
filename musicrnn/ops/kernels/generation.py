"""Generation compiled: network -> probabilities -> draw -> frame -> network, for many streams at once.

Each slice of the streams goes through all frames on its own, with its states, blocks and probabilities in
the cache. A frame is heard as the sum of the columns of W that belong to the cells that sound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from musicrnn.ops.kernels.equations import Equations, on_vectors
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.jobs import claim, job_at, share
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
    "hidden",  # units of a layer, H
    "padded",  # P
    "columns",  # (D, heard blocks * P): W' of the first layer
    "inputs",  # (L - 1, heard blocks, H * P): W of the others, packed
    "bias",  # (L, blocks * P)
    "matrix",  # (L, recurrent blocks, H * P): U, packed
    "constants",  # (L, constants, P)
    "head",  # (H * E): the head's matrix, packed for E >= D columns
    "head_bias",  # (E)
    "head_padded",  # E
    "states",  # (L, states, B, P), in and out
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


def generation_of(equations: Equations) -> Callable[..., None]:
    """Return the kernel that draws frames from a stack of layers of a cell and independent sigmoids."""
    blocks, states, heard, constants = (
        equations.blocks,
        equations.states,
        equations.heard,
        equations.constants,
    )
    driven, recurrent = equations.driven_blocks, equations.products
    step = step_of(equations)

    def generate(jobs):
        job = job_at(jobs)
        like, index = job.like, claim(jobs)
        first, last = share(index, job)
        rows, hidden, padded, width = last - first, job.hidden, job.padded, job.width
        pitches, batch, layers = job.pitches, job.rows, job.layers
        row, plane, wide = blocks * padded, rows * padded, job.head_padded
        heard_row = (blocks - heard) * padded
        pre = offset(pointer(job.scratch, like), index * job.scratch_size)
        operand = offset(pre, rows * row)
        chances = offset(operand, plane)
        state = offset(chances, rows * wide)
        lanes = lanes_of(pre)
        vectors = padded // lanes
        held, columns = pointer(job.states, like), pointer(job.columns, like)
        inputs, bias = pointer(job.inputs, like), pointer(job.bias, like)
        matrix, constant = pointer(job.matrix, like), pointer(job.constants, like)
        head, head_bias = pointer(job.head, like), pointer(job.head_bias, like)
        uniforms, rolls = pointer(job.uniforms, like), pointer(job.rolls, np.uint8(0))
        temperature = scalar(pointer(job.temperature, like), 0)
        threshold = scalar(pointer(job.threshold, like), 0)
        one = np.uint8(1)
        marks = -(-pitches // lanes)
        sounding = offset(pointer(job.sounding, np.int64(0)), first * marks)
        active = offset(pointer(job.active, np.int32(0)), first * width)
        counts = offset(pointer(job.counts, np.int32(0)), first)
        for number in range(layers * states):
            copy(offset(held, (number * batch + first) * padded), offset(state, number * plane), plane)
        for t in range(job.frames):
            # What the top layer expects.
            for r in range(rows):
                copy(head_bias, offset(chances, r * wide), wide)
            top = offset(state, (layers - 1) * states * plane)
            product(chances, wide, top, padded, head, rows, hidden, wide // lanes)
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
                here = offset(state, layer * states * plane)
                for r in range(rows):
                    copy(offset(bias, layer * row), offset(pre, r * row), row)
                    if layer == 0:
                        for number in range(scalar(counts, r)):
                            cell = scalar(active, r * width + number)
                            target = offset(pre, r * row + heard * padded)
                            add(offset(columns, cell * heard_row), target, heard_row)
                if layer > 0:
                    lower = offset(state, (layer - 1) * states * plane)
                    for block in range(blocks - heard):
                        target = offset(pre, (heard + block) * padded)
                        part = offset(inputs, ((layer - 1) * (blocks - heard) + block) * hidden * padded)
                        product(target, row, lower, padded, part, rows, hidden, vectors)
                u = offset(matrix, layer * recurrent * hidden * padded)
                second = offset(u, driven * hidden * padded)
                c = offset(constant, layer * constants * padded)
                step(pre, here, operand, u, second, c, rows, hidden, padded, padded, rolls, 0)
        for number in range(layers * states):
            copy(offset(state, number * plane), offset(held, (number * batch + first) * padded), plane)

    return generate
