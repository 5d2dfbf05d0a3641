"""A small matrix product, C += A B, whose B lies packed in panels.

The tile of C that is being summed stays in registers: a block of rows by up to three vectors of columns,
so that every number loaded serves several multiply-adds. Each element is summed over the depth in order,
one fused multiply-add after another, however large the block it falls into: a row's result doesn't depend
on its neighbours, nor on how rows are shared out among threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from musicrnn.ops.kernels.vectors import REGISTERS, Vector, call, emit, splat

WIDTH = 3
"""Vectors in a panel at most."""

ROWS = (8, 4, 2, 1) if REGISTERS == 32 else (4, 2, 1)
"""Rows of a tile; 8 x 3 sums fill the 32 registers of AVX-512, 4 x 3 the 16 of AVX."""

INT = ir.IntType(64)


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

    def build(builder: Any, *args: ir.Value) -> None:
        builder.call(_function(builder.module, Vector(c.dtype), args[0].type), args)

    int64 = types.int64
    return types.void(c, int64, a, int64, b, int64, int64, int64), emit(build)


def _function(module: ir.Module, vector: Vector, pointer: ir.Type) -> ir.Function:
    """Return the product as a function of its own in the module."""
    name = f"musicrnn_product_{vector.suffix}"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.VoidType(), [pointer, INT, pointer, INT, pointer, INT, INT, INT])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    for index in (0, 2, 4):
        function.args[index].add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block())
    c, c_stride, a, a_stride, b, rows, depth, vectors = function.args
    # As few panels as will do, their widths differing by one at most.
    count = builder.sdiv(builder.add(vectors, INT(WIDTH - 1)), INT(WIDTH))
    narrow, wider = builder.sdiv(vectors, count), builder.srem(vectors, count)
    first = cgutils.alloca_once_value(builder, INT(0))
    with cgutils.for_range(builder, count) as panel:
        width = builder.add(narrow, builder.zext(builder.icmp_signed("<", panel.index, wider), INT))
        start = builder.mul(builder.load(first), INT(vector.lanes))
        columns, packed = builder.gep(c, [start]), builder.gep(b, [builder.mul(start, depth)])
        for size in range(1, WIDTH + 1):
            with builder.if_then(builder.icmp_signed("==", width, INT(size))):
                _panel(builder, Rows(columns, c_stride), Rows(a, a_stride), packed, rows, depth, size, vector)
        builder.store(builder.add(builder.load(first), width), first)
    builder.ret_void()
    return function


def _panel(
    builder: Any, c: Rows, a: Rows, b: ir.Value, rows: ir.Value, depth: ir.Value, width: int, vector: Vector
) -> None:
    """Cover the rows of a panel with tiles, the tallest first."""
    done = cgutils.alloca_once_value(builder, INT(0))
    builder.store(INT(0), done)
    for height in ROWS:
        blocks = builder.sdiv(builder.sub(rows, builder.load(done)), INT(height))
        with cgutils.for_range(builder, blocks):
            row = builder.load(done)
            _tile(builder, c.at(builder, row), a.at(builder, row), b, depth, height, width, vector)
            builder.store(builder.add(row, INT(height)), done)


def _tile(
    builder: Any, c: Rows, a: Rows, b: ir.Value, depth: ir.Value, height: int, width: int, vector: Vector
) -> None:
    """Sum one tile in registers."""
    columns = [INT(column * vector.lanes) for column in range(width)]
    rows = [builder.mul(c.stride, INT(row)) for row in range(height)]
    cells = [vector.place(builder, c.start, builder.add(row, column)) for row in rows for column in columns]
    before = [builder.load(cell, align=vector.align) for cell in cells]
    a_rows = [builder.mul(a.stride, INT(row)) for row in range(height)]
    entry = builder.block
    loop, after = builder.append_basic_block("depth"), builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(INT)
    index.add_incoming(INT(0), entry)
    sums = [builder.phi(vector.llvm) for _ in cells]
    at = builder.gep(b, [builder.mul(index, INT(width * vector.lanes))])
    panel = [vector.load(builder, at, column) for column in columns]
    following = []
    for row in range(height):
        number = builder.load(builder.gep(a.start, [builder.add(a_rows[row], index)]))
        factor = splat(builder, number, vector.llvm)
        for column in range(width):
            operands = factor, panel[column], sums[row * width + column]
            following.append(call(builder, f"llvm.fma.{vector.suffix}", vector.llvm, *operands))
    proceed = builder.add(index, INT(1))
    index.add_incoming(proceed, loop)
    for total, start, result in zip(sums, before, following, strict=True):
        total.add_incoming(start, entry)
        total.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", proceed, depth), loop, after)
    builder.position_at_end(after)
    for cell, result in zip(cells, following, strict=True):
        builder.store(result, cell, align=vector.align)
