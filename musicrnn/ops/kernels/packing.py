"""Laying out matrices as the products in kernels read them."""

from __future__ import annotations

from musicrnn.ops.kernels.product import WIDTH
from musicrnn.ops.kernels.vectors import lanes_of, pointer, put, scalar

FIELDS = ("rows", "source", "target", "depth", "columns", "padded", "transposed")


def pack(job, like, index, first, last):
    """Pack matrices into panels for products, with zeros behind the last column.

    Each matrix, (depth, columns) or transposed (columns, depth), becomes panels of up to three vectors' width
    that lie one after another, rows in order.
    """
    source, target = pointer(job.source, like), pointer(job.target, like)
    depth, columns, padded = job.depth, job.columns, job.padded
    lanes = lanes_of(source)
    vectors = padded // lanes
    count = (vectors + WIDTH - 1) // WIDTH
    for block in range(first, last):
        start = block * depth * columns
        at, column = block * depth * padded, 0
        for panel in range(count):
            width = (vectors // count + (1 if panel < vectors % count else 0)) * lanes
            for row in range(depth):
                for cell in range(column, column + width):
                    value = like * 0
                    if cell < columns:
                        place = cell * depth + row if job.transposed else row * columns + cell
                        value = scalar(source, start + place)
                    put(value, target, at)
                    at += 1
            column += width
