"""Laying out matrices as the products in kernels read them."""

from __future__ import annotations

from musicrnn.ops.kernels.equations import on_its_own
from musicrnn.ops.kernels.jobs import claim, job_at, share
from musicrnn.ops.kernels.product import WIDTH
from musicrnn.ops.kernels.rows import clear
from musicrnn.ops.kernels.vectors import lanes_of, offset, pointer, put, scalar

FIELDS = ("rows", "source", "target", "depth", "columns", "padded")


def pack(jobs):
    """Pack transposed matrices (columns, depth), one after another."""
    job = job_at(jobs)
    like, index = job.like, claim(jobs)
    first, last = share(index, job)
    for block in range(first, last):
        source = offset(pointer(job.source, like), block * job.depth * job.columns)
        target = offset(pointer(job.target, like), block * job.depth * job.padded)
        pack_panels(source, target, job.depth, job.columns, job.padded, 1)


@on_its_own
def pack_panels(source, target, depth, columns, padded, transposed):
    """Pack a matrix into panels for products, with zeros behind the last column.

    It is (depth, columns), or transposed (columns, depth), and becomes panels of up to three vectors' width
    that lie one after another, rows in order.
    """
    lanes = lanes_of(source)
    vectors = padded // lanes
    count = (vectors + WIDTH - 1) // WIDTH
    down, across = (1, depth) if transposed else (columns, 1)
    at, column = 0, 0
    clear(target, target, depth * padded)
    for panel in range(count):
        width = (vectors // count + (1 if panel < vectors % count else 0)) * lanes
        for row in range(depth):
            for cell in range(column, min(column + width, columns)):
                put(scalar(source, row * down + cell * across), target, at + cell - column)
            at += width
        column += width
