"""Laying out matrices as the products in kernels read them."""

from __future__ import annotations

from musicrnn.ops.kernels.product import WIDTH
from musicrnn.ops.kernels.vectors import lanes_of, pointer, put, scalar

FIELDS = ("rows", "source", "target", "hidden", "padded", "transposed")


def pack(job, like, index, first, last):
    """Pack blocks of a matrix of shape (blocks, H, H) into panels, with zeros behind the last column.

    Each block, transposed or not, becomes panels of up to three vectors' width that lie one after another,
    rows in order.
    """
    source, target = pointer(job.source, like), pointer(job.target, like)
    hidden, padded = job.hidden, job.padded
    lanes = lanes_of(source)
    vectors = padded // lanes
    count = (vectors + WIDTH - 1) // WIDTH
    for block in range(first, last):
        start = block * hidden * hidden
        at, column = block * hidden * padded, 0
        for panel in range(count):
            width = (vectors // count + (1 if panel < vectors % count else 0)) * lanes
            for row in range(hidden):
                for cell in range(column, column + width):
                    value = like * 0
                    if cell < hidden:
                        value = scalar(
                            source, start + (cell * hidden + row if job.transposed else row * hidden + cell)
                        )
                    put(value, target, at)
                    at += 1
            column += width
