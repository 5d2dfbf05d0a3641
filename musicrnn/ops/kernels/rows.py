"""Rows of numbers, moved and added vector by vector.

Rows inside kernels fill whole vectors; ``copy_out`` and ``add_in`` are for rows of the caller's tensors, that
may end inside one. Each is a function of LLVM's own, made once a kernel: numba would take far longer over the
same loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from musicrnn.ops.kernels.vectors import Vector, load_lanes, store_lanes, vector_pointer

INT = ir.IntType(64)


def _row_function(name: str, combine: Callable[..., ir.Value], ragged: bool, document: str) -> Any:
    """Return ``f(source, target, numbers)``, which stores what ``combine`` makes of source and target.

    Args:
        name: The function's.
        combine: ``(builder, source(), target()) -> vector`` with functions that load.
        ragged: Whether the last vector may be one that isn't all there, in the source or the target.
        document: What it does.
    """

    def emit(module: ir.Module, vector: Vector, pointer: ir.Type) -> ir.Function:
        symbol = f"musicrnn_{name}_{vector.suffix}"
        if symbol in module.globals:
            return module.globals[symbol]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, pointer, INT]), symbol)
        function.linkage = "internal"
        builder = ir.IRBuilder(function.append_basic_block())
        source, target, numbers = function.args
        whole = builder.sdiv(numbers, INT(vector.lanes))
        with cgutils.for_range(builder, whole) as loop:
            start = builder.mul(loop.index, INT(vector.lanes))
            here, there = (vector_pointer(builder, row, start, vector) for row in (source, target))
            value = combine(
                builder, lambda: builder.load(here, align=4), lambda: builder.load(there, align=4)
            )
            builder.store(value, there, align=4)
        if ragged:
            start = builder.mul(whole, INT(vector.lanes))
            rest = builder.sub(numbers, start)
            with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
                here, there = (vector_pointer(builder, row, start, vector) for row in (source, target))
                value = combine(
                    builder,
                    lambda: load_lanes(builder, here, rest, vector),
                    lambda: load_lanes(builder, there, rest, vector),
                )
                store_lanes(builder, value, there, rest, vector)
        builder.ret_void()
        return function

    def typed(typing: Any, source: types.CPointer, target: types.CPointer, numbers: types.Integer) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            builder.call(emit(builder.module, Vector(target.dtype), args[1].type), args)
            return context.get_dummy_value()

        return types.void(source, target, types.int64), generate

    typed.__name__, typed.__doc__ = name, document
    return intrinsic(typed)


copy = _row_function("copy", lambda builder, source, target: source(), False, "Copy so many numbers.")
add = _row_function(
    "add",
    lambda builder, source, target: builder.fadd(target(), source()),
    False,
    "Add so many numbers to others.",
)
copy_out = _row_function(
    "copy_out",
    lambda builder, source, target: source(),
    True,
    "Copy so many numbers, and touch none behind them.",
)
add_in = _row_function(
    "add_in",
    lambda builder, source, target: builder.fadd(target(), source()),
    True,
    "Add so many numbers to others, and touch none behind them.",
)
clear = _row_function(
    "clear",
    lambda builder, source, target: ir.Constant(target().type, None),
    False,
    "Set so many numbers to zero.",
)
