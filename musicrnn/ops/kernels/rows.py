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

from musicrnn.ops.kernels.vectors import CONTRACT, Vector, load_lanes, splat, store_lanes, vector_pointer

INT = ir.IntType(64)


def _row_function(
    name: str, combine: Callable[..., ir.Value], document: str, ragged: str = "", scaled: bool = False
) -> Any:
    """Return ``f(source, target, numbers)``, which stores what ``combine`` makes of source and target.

    Args:
        name: The function's.
        combine: ``(builder, source(), target()) -> vector`` with functions that load.
        document: What it does.
        ragged: ``source`` or ``target``: which row's last vector may not be all there. Behind the end of a
            ragged source zeros are stored.
        scaled: Whether there is a factor, a fourth argument of both functions.
    """

    def emit(module: ir.Module, vector: Vector, pointer: ir.Type) -> ir.Function:
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
            return [vector_pointer(builder, row, start, vector) for row in (source, target)]

        with cgutils.for_range(builder, whole) as loop:
            here, there = places(loop.index)
            value = combine(
                builder, lambda: builder.load(here, align=4), lambda: builder.load(there, align=4), *factors
            )
            builder.store(value, there, align=4)
        if ragged:
            rest = builder.sub(numbers, builder.mul(whole, INT(vector.lanes)))
            with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
                here, there = places(whole)
                value = combine(
                    builder,
                    lambda: load_lanes(builder, here, rest, vector),
                    lambda: load_lanes(builder, there, rest, vector),
                    *factors,
                )
                if ragged == "target":
                    store_lanes(builder, value, there, rest, vector)
                else:
                    builder.store(value, there, align=4)
        builder.ret_void()
        return function

    def generator(target: types.CPointer) -> Callable[..., Any]:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            builder.call(emit(builder.module, Vector(target.dtype), args[1].type), args)
            return context.get_dummy_value()

        return generate

    def plain(typing: Any, source: types.CPointer, target: types.CPointer, numbers: types.Integer) -> Any:
        return types.void(source, target, types.int64), generator(target)

    def times(
        typing: Any,
        source: types.CPointer,
        target: types.CPointer,
        numbers: types.Integer,
        factor: types.Float,
    ) -> Any:
        return types.void(source, target, types.int64, target.dtype), generator(target)

    typed = times if scaled else plain
    typed.__name__, typed.__doc__ = name, document
    return intrinsic(typed)


def _taken(builder: ir.IRBuilder, source: Callable[[], ir.Value], target: Callable[[], ir.Value]) -> ir.Value:
    return source()


def _added(builder: ir.IRBuilder, source: Callable[[], ir.Value], target: Callable[[], ir.Value]) -> ir.Value:
    return builder.fadd(target(), source())


def _added_times(
    builder: ir.IRBuilder, source: Callable[[], ir.Value], target: Callable[[], ir.Value], factor: ir.Value
) -> ir.Value:
    product = builder.fmul(factor, source(), flags=CONTRACT)
    return builder.fadd(target(), product, flags=CONTRACT)


def _zero(builder: ir.IRBuilder, source: Callable[[], ir.Value], target: Callable[[], ir.Value]) -> ir.Value:
    return ir.Constant(target().type, None)


copy = _row_function("copy", _taken, "Copy so many numbers.")
copy_in = _row_function("copy_in", _taken, "Copy so many numbers, and fill up the last vector.", "source")
copy_out = _row_function("copy_out", _taken, "Copy so many numbers, and touch none behind them.", "target")
add = _row_function("add", _added, "Add so many numbers to others.")
add_in = _row_function("add_in", _added, "Add so many numbers to others, and touch none behind.", "target")
add_times = _row_function(
    "add_times", _added_times, "Add so many numbers, times one, to others.", scaled=True
)
clear = _row_function("clear", _zero, "Set so many numbers to zero.")
