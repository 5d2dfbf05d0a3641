"""Rows of numbers, moved and added vector by vector.

Rows inside kernels fill whole vectors; ``copy_in``, ``copy_out`` and ``add_in`` are for rows of the caller's
tensors, that may end inside one. Each is a function of LLVM's own, made once a kernel: numba would take far
longer over the same loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from musicrnn.ops.kernels.vectors import CONTRACT, Vector, emit, load_lanes, splat, store_lanes

INT = ir.IntType(64)

Load = Callable[[], ir.Value]
"""Loads the vector of a row that has its turn."""


def _row_function(
    name: str, combine: Callable[..., ir.Value], document: str, ragged: str = "", scaled: bool = False
) -> Any:
    """Return ``f(source, target, numbers)``, which stores what ``combine`` makes of source and target.

    Args:
        name: The function's.
        combine: ``(builder, source(), target()) -> vector`` with functions that load.
        document: Its docstring.
        ragged: ``source`` or ``target``: the row whose last vector may be incomplete. After the end of a
            ragged source zeros are stored.
        scaled: Whether there is a factor, a fourth argument of both functions.
    """

    def define(module: ir.Module, vector: Vector, pointer: ir.Type) -> ir.Function:
        symbol = f"musicrnn_{name}_{vector.suffix}"
        if symbol in module.globals:
            return module.globals[symbol]
        kinds = [pointer, pointer, INT, *([vector.llvm.element] if scaled else [])]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), symbol)
        function.linkage = "internal"
        builder = ir.IRBuilder(function.append_basic_block())
        source, target, numbers, *factors = function.args
        factors = [splat(builder, factor, vector.llvm) for factor in factors]
        whole = builder.sdiv(numbers, INT(vector.lanes))

        def places(number: ir.Value) -> list[ir.Value]:
            start = builder.mul(number, INT(vector.lanes))
            return [vector.place(builder, row, start) for row in (source, target)]

        with cgutils.for_range(builder, whole) as loop:
            here, there = places(loop.index)
            loads = (lambda: builder.load(here, align=4)), (lambda: builder.load(there, align=4))
            builder.store(combine(builder, *loads, *factors), there, align=4)
        if ragged:
            rest = builder.sub(numbers, builder.mul(whole, INT(vector.lanes)))
            with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
                here, there = places(whole)
                loads = (
                    lambda: load_lanes(builder, here, rest, vector),
                    lambda: load_lanes(builder, there, rest, vector),
                )
                value = combine(builder, *loads, *factors)
                if ragged == "target":
                    store_lanes(builder, value, there, rest, vector)
                else:
                    builder.store(value, there, align=4)
        builder.ret_void()
        return function

    def plain(typing: Any, source: types.CPointer, target: types.CPointer, numbers: types.Integer) -> Any:
        def build(builder: Any, *args: ir.Value) -> None:
            builder.call(define(builder.module, Vector(target.dtype), args[1].type), args)

        return types.void(source, target, types.int64), emit(build)

    def times(typing: Any, source: Any, target: Any, numbers: Any, factor: Any) -> Any:
        _, generate = plain(typing, source, target, numbers)
        return types.void(source, target, types.int64, target.dtype), generate

    typed = times if scaled else plain
    typed.__name__, typed.__doc__ = name, document
    return intrinsic(typed)


def _taken(builder: ir.IRBuilder, source: Load, target: Load) -> ir.Value:
    return source()


def _added(builder: ir.IRBuilder, source: Load, target: Load) -> ir.Value:
    return builder.fadd(target(), source())


def _added_times(builder: ir.IRBuilder, source: Load, target: Load, factor: ir.Value) -> ir.Value:
    scaled = builder.fmul(factor, source(), flags=CONTRACT)
    return builder.fadd(target(), scaled, flags=CONTRACT)


def _zero(builder: ir.IRBuilder, source: Load, target: Load) -> ir.Value:
    return ir.Constant(target().type, None)


copy = _row_function("copy", _taken, "Copy numbers.")
copy_in = _row_function("copy_in", _taken, "Copy numbers, with zeros to the end of a vector.", "source")
copy_out = _row_function("copy_out", _taken, "Copy numbers, and none after them.", "target")
add = _row_function("add", _added, "Add numbers to others.")
add_in = _row_function("add_in", _added, "Add numbers to others, and none after them.", "target")
add_times = _row_function("add_times", _added_times, "Add numbers, scaled, to others.", scaled=True)
clear = _row_function("clear", _zero, "Set numbers to zero.")
