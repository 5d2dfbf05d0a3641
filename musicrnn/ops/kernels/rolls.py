"""Piano rolls as lists of the cells that sound.

Of the 88 or 176 cells of a frame about four are set, so W x is the sum of about four columns of W: far less
work than a product, and neither W x nor x has to travel through memory.
"""

from __future__ import annotations

import numpy as np

from musicrnn.ops.kernels.vectors import lanes_of, load, load_some, lowest_bit, ones_of, pointer, put, scalar

FIELDS = ("rows", "frames", "width", "inputs", "active", "counts", "most", "dense")


def find_active(job, like, index, first, last):
    """List the cells that are one in every frame of some rows of inputs (B, T, D).

    Gives up, and says so in ``dense``, at the first number that is neither zero nor one and at the first
    frame with more than ``most`` ones.
    """
    inputs, active = pointer(job.inputs, like), pointer(job.active, np.int32(0))
    counts, dense = pointer(job.counts, np.int32(0)), pointer(job.dense, np.int32(0))
    lanes, width = lanes_of(inputs), job.width
    for frame in range(first * job.frames, last * job.frames):
        found = 0
        for cell in range(0, width, lanes):
            if width - cell >= lanes:
                bits = ones_of(load(inputs, frame * width + cell))
            else:
                bits = ones_of(load_some(inputs, frame * width + cell, width - cell))
            while bits > 0 and found < job.most:
                put(np.int32(cell + lowest_bit(bits)), active, frame * job.most + found)
                found += 1
                bits &= bits - 1
            if bits != 0:
                put(np.int32(1), dense, 0)
                return
        put(np.int32(found), counts, frame)
        if scalar(dense, 0) != 0:
            return
