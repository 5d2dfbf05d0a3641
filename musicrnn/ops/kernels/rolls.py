"""Products with inputs of which most numbers are zero, such as piano rolls, column by column.

Of the 88 or 176 cells of a frame about four are set, so W x is the sum of about four columns of W: far less
work than a product, and W x is never written to memory.
"""

from musicrnn.ops.kernels.equations import shared_function
from musicrnn.ops.kernels.rows import add_times, clear
from musicrnn.ops.kernels.vectors import get, lanes_of, load_some, lowest_bit, nonzero, offset, put


@shared_function
def add_outer(frame, width, source, source_step, target, target_step, numbers):
    """For every nonzero x of a frame of ``width`` numbers, add x times a source row to a target row.

    Rows have ``numbers`` numbers. The rows of the cells lie a step apart; with a step of zero all cells have
    the same. With the columns of W for source, the target is W x; with them for target and a gradient of W x
    for source, it is the gradient of W.
    """
    lanes = lanes_of(frame)
    for start in range(0, width, lanes):
        bits = nonzero(load_some(frame, start, min(lanes, width - start)))
        while bits != 0:
            cell = start + lowest_bit(bits)
            row = offset(source, cell * source_step)
            add_times(row, offset(target, cell * target_step), numbers, get(frame, cell))
            bits &= bits - 1


@shared_function
def move_columns(w, columns, blocks, width, hidden, padded, back):
    """Copy W (blocks * H, D) in the order of its columns, (D, blocks * P), with zeros after each; or back."""
    if not back:
        clear(columns, columns, width * blocks * padded)
    for block in range(blocks):
        for unit in range(hidden):
            for cell in range(width):
                here, there = (block * hidden + unit) * width + cell, (cell * blocks + block) * padded + unit
                if back:
                    put(get(columns, there), w, here)
                else:
                    put(get(w, here), columns, there)
