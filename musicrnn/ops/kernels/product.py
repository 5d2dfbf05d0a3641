"""A small matrix product, C += A B, whose B lies packed in panels, and the packing.

The tile of C that is being summed stays in registers: a block of rows by up to three vectors of columns,
so that every number loaded serves several multiply-adds. Each element is summed over the depth in order,
one fused multiply-add after another, however large the block it falls into: a row's result doesn't depend
on its neighbours, nor on how rows are shared out among threads.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from torch import Tensor

from musicrnn.ops.kernels.compile import Entry, claim_slice
from musicrnn.ops.kernels.equations import shared_function
from musicrnn.ops.kernels.rows import clear
from musicrnn.ops.kernels.vectors import (
    INT64,
    REGISTERS,
    Vector,
    call,
    call_own,
    emit,
    get,
    lanes_of,
    offset,
    pointer,
    put,
    splat,
)

WIDTH = 3
"""Vectors in a panel at most."""

ROWS = (8, 4, 2, 1) if REGISTERS == 32 else (4, 2, 1)
"""Rows of a tile; 8 x 3 sums fill the 32 registers of AVX-512, 4 x 3 the 16 of AVX."""


class Rows(NamedTuple):
    """Rows of a matrix: the address of the first, and numbers from one to the next."""

    start: ir.Value
    stride: ir.Value

    def at(self, builder: ir.IRBuilder, row: ir.Value) -> Rows:
        """Return the rows from one on."""
        return Rows(builder.gep(self.start, [builder.mul(row, self.stride)]), self.stride)


@intrinsic
def product(typing, c, c_stride, a, a_stride, b, rows, depth, vectors):
    """Add A B to C.

    C has ``rows`` rows of ``vectors`` vectors, A has ``rows`` rows of ``depth`` numbers; strides are numbers
    from one row to the next. B has ``depth`` rows of ``vectors`` vectors, packed by ``pack_panels``.
    """
    int64, vector = types.int64, Vector(c.dtype)
    name = f"musicrnn_product_{vector.suffix}"
    build = emit(lambda builder, *args: call_own(builder, name, args, partial(_product, vector)))
    return types.void(c, int64, a, int64, b, int64, int64, int64), build


def _product(vector: Vector, builder: Any, *arguments: ir.Value) -> None:
    """Write the product's instructions."""
    c, c_stride, a, a_stride, b, rows, depth, vectors = arguments
    for matrix in (c, a, b):
        matrix.add_attribute("noalias")
    # As few panels as will do, their widths differing by one at most.
    count = builder.sdiv(builder.add(vectors, INT64(WIDTH - 1)), INT64(WIDTH))
    narrow, wider = builder.sdiv(vectors, count), builder.srem(vectors, count)
    first = cgutils.alloca_once_value(builder, INT64(0))
    with cgutils.for_range(builder, count) as panel:
        width = builder.add(narrow, builder.zext(builder.icmp_signed("<", panel.index, wider), INT64))
        start = builder.mul(builder.load(first), INT64(vector.lanes))
        columns, packed = builder.gep(c, [start]), builder.gep(b, [builder.mul(start, depth)])
        for size in range(1, WIDTH + 1):
            with builder.if_then(builder.icmp_signed("==", width, INT64(size))):
                _panel(builder, Rows(columns, c_stride), Rows(a, a_stride), packed, rows, depth, size, vector)
        builder.store(builder.add(builder.load(first), width), first)


def _panel(
    builder: Any, c: Rows, a: Rows, b: ir.Value, rows: ir.Value, depth: ir.Value, width: int, vector: Vector
) -> None:
    """Cover the rows of a panel with tiles, the tallest first."""
    done = cgutils.alloca_once_value(builder, INT64(0))
    builder.store(INT64(0), done)
    for height in ROWS:
        blocks = builder.sdiv(builder.sub(rows, builder.load(done)), INT64(height))
        with cgutils.for_range(builder, blocks):
            row = builder.load(done)
            _tile(builder, c.at(builder, row), a.at(builder, row), b, depth, height, width, vector)
            builder.store(builder.add(row, INT64(height)), done)


def _tile(
    builder: Any, c: Rows, a: Rows, b: ir.Value, depth: ir.Value, height: int, width: int, vector: Vector
) -> None:
    """Sum one tile in registers."""
    columns = [INT64(column * vector.lanes) for column in range(width)]
    rows = [builder.mul(c.stride, INT64(row)) for row in range(height)]
    cells = [builder.add(row, column) for row in rows for column in columns]
    sums = [cgutils.alloca_once_value(builder, vector.load(builder, c.start, cell)) for cell in cells]
    a_rows = [builder.mul(a.stride, INT64(row)) for row in range(height)]
    with cgutils.for_range(builder, depth) as loop:
        at = builder.gep(b, [builder.mul(loop.index, INT64(width * vector.lanes))])
        panel = [vector.load(builder, at, column) for column in columns]
        for row in range(height):
            number = builder.load(builder.gep(a.start, [builder.add(a_rows[row], loop.index)]))
            factor = splat(builder, number, vector.llvm)
            for column, total in zip(panel, sums[row * width :], strict=False):
                operands = factor, column, builder.load(total)
                builder.store(call(builder, f"llvm.fma.{vector.suffix}", vector.llvm, *operands), total)
    for cell, total in zip(cells, sums, strict=True):
        vector.store(builder, builder.load(total), c.start, cell)


@shared_function
def pack_panels(source, target, depth, columns, padded, transposed):
    """Pack a matrix into panels for products, with zeros after the last column.

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
                put(get(source, row * down + cell * across), target, at + cell - column)
            at += width
        column += width


def pack(record):
    """Pack transposed matrices (columns, depth), one after another."""
    args, like, _, first, last = claim_slice(record)
    for block in range(first, last):
        source = offset(pointer(args.source, like), block * args.depth * args.columns)
        target = offset(pointer(args.target, like), block * args.depth * args.padded)
        pack_panels(source, target, args.depth, args.columns, args.padded, 1)


@cache
def packer(dtype: torch.dtype) -> Entry:
    """Return the compiled ``pack``."""
    fields = ("rows", "source", "target", "depth", "columns", "padded")
    return Entry("pack", pack, fields, dtype)


def packed(matrices: Tensor, columns: int, padded: int) -> Tensor:
    """Pack matrices (columns, K), one after another, as products read them."""
    depth = matrices.shape[-1]
    count = matrices.numel() // (columns * depth)
    target = matrices.new_empty(count, depth, padded)
    sizes = {"rows": count, "depth": depth, "columns": columns, "padded": padded}
    packer(matrices.dtype)(1, sizes, source=matrices.contiguous(), target=target)
    return target
