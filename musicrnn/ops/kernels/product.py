"""A small matrix product, C += A B, whose B lies packed in panels.

The tile of C that is being summed stays in registers: a block of rows by up to three vectors of columns,
so that every number loaded serves several multiply-adds. Each element is summed over the depth in order,
one fused multiply-add after another, however large the block it falls into: a row's result doesn't depend
on its neighbours, nor on how rows are shared out among threads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from musicrnn.ops.kernels.vectors import REGISTERS, Vector, call, splat, vector_pointer

WIDTH = 3
"""Vectors in a panel at most."""

ROWS = (8, 4, 2, 1) if REGISTERS == 32 else (4, 2, 1)
"""Rows of a tile; 8 x 3 sums fill the 32 registers of AVX-512, 4 x 3 the 16 of AVX."""

INT = ir.IntType(64)


@intrinsic
def product(
    typing: Any,
    c: types.CPointer,
    c_stride: types.Integer,
    a: types.CPointer,
    a_stride: types.Integer,
    b: types.CPointer,
    rows: types.Integer,
    depth: types.Integer,
    vectors: types.Integer,
) -> Any:
    """Add A B to C.

    Args:
        typing: numba's.
        c: Rows of ``vectors`` vectors.
        c_stride: Numbers from one row of C to the next.
        a: Rows of ``depth`` numbers.
        a_stride: Numbers from one row of A to the next.
        b: ``depth`` rows of ``vectors`` vectors, packed by ``panels``: the rows of one panel after another.
        rows: Rows of A and C.
        depth: Columns of A, rows of B.
        vectors: Vectors in a row of B and C.
    """
    vector = Vector(c.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = _function(builder.module, vector, args[0].type)
        builder.call(
            function,
            [builder.sext(v, INT) if v.type != INT and isinstance(v.type, ir.IntType) else v for v in args],
        )
        return context.get_dummy_value()

    return types.void(c, types.intp, a, types.intp, b, types.intp, types.intp, types.intp), generate


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
                _row_blocks(builder, columns, c_stride, a, a_stride, packed, rows, depth, size, vector)
        builder.store(builder.add(builder.load(first), width), first)
    builder.ret_void()
    return function


def _row_blocks(
    builder: Any,
    c: Any,
    c_stride: Any,
    a: Any,
    a_stride: Any,
    b: Any,
    rows: Any,
    depth: Any,
    width: int,
    vector: Vector,
) -> None:
    """Cover the rows with tiles, the tallest first."""
    done = cgutils.alloca_once_value(builder, INT(0))
    builder.store(INT(0), done)
    for height in ROWS:
        blocks = builder.sdiv(builder.sub(rows, builder.load(done)), INT(height))
        with cgutils.for_range(builder, blocks):
            row = builder.load(done)
            tile_c, tile_a = (
                builder.gep(c, [builder.mul(row, c_stride)]),
                builder.gep(a, [builder.mul(row, a_stride)]),
            )
            _tile(builder, tile_c, c_stride, tile_a, a_stride, b, depth, height, width, vector)
            builder.store(builder.add(row, INT(height)), done)


def _tile(
    builder: Any,
    c: Any,
    c_stride: Any,
    a: Any,
    a_stride: Any,
    b: Any,
    depth: Any,
    height: int,
    width: int,
    vector: Vector,
) -> None:
    """Sum one tile in registers."""
    align = vector.dtype.bitwidth // 8
    rows = [builder.mul(c_stride, INT(row)) for row in range(height)]
    cells = [
        vector_pointer(builder, c, builder.add(row, INT(column * vector.lanes)), vector)
        for row in rows
        for column in range(width)
    ]
    before = [builder.load(cell, align=align) for cell in cells]
    a_rows = [builder.mul(a_stride, INT(row)) for row in range(height)]
    entry = builder.block
    loop, after = builder.append_basic_block("depth"), builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(INT)
    index.add_incoming(INT(0), entry)
    sums = [builder.phi(vector.llvm) for _ in cells]
    at = builder.gep(b, [builder.mul(index, INT(width * vector.lanes))])
    panel = [
        builder.load(vector_pointer(builder, at, INT(column * vector.lanes), vector), align=align)
        for column in range(width)
    ]
    following = []
    for row in range(height):
        factor = splat(builder, builder.load(builder.gep(a, [builder.add(a_rows[row], index)])), vector.llvm)
        for column in range(width):
            total = sums[row * width + column]
            following.append(
                call(builder, f"llvm.fma.{vector.suffix}", vector.llvm, factor, panel[column], total)
            )
    proceed = builder.add(index, INT(1))
    index.add_incoming(proceed, loop)
    for total, start, result in zip(sums, before, following, strict=True):
        total.add_incoming(start, entry)
        total.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", proceed, depth), loop, after)
    builder.position_at_end(after)
    for cell, result in zip(cells, following, strict=True):
        builder.store(result, cell, align=align)
