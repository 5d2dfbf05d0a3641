"""Rows of numbers, moved and added vector by vector.

Rows inside kernels fill whole vectors; ``copy_in``, ``copy_out`` and ``add_in`` are for rows of the caller's
tensors, that may end inside one. Each is a function of LLVM's own, made once a kernel: numba would take far
longer over the same loops.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from musicrnn.ops.kernels.vectors import CONTRACT, INT64, Vector, call_own, emit, intrinsic_named, splat


def _row_function(
    name: str, combine: Callable[..., ir.Value], document: str, ragged: str = "", scaled: bool = False
) -> Any:
    """Return ``f(source, target, numbers)``, which stores what ``combine`` makes of source and target.

    Args:
        name: The function's.
        combine: ``(builder, source, target) -> vector``.
        document: Its docstring.
        ragged: ``source`` or ``target``: the row whose last vector may be incomplete. After the end of a
            ragged source zeros are stored.
        scaled: Whether there is a factor, a fourth argument of both functions.
    """

    def fill(vector: Vector, builder: Any, *arguments: ir.Value) -> None:
        source, target, numbers, *factors = arguments
        factors = [splat(builder, factor, vector.llvm) for factor in factors]
        whole = builder.sdiv(numbers, INT64(vector.lanes))

        def move(number: ir.Value, count: ir.Value | None = None) -> None:
            start = builder.mul(number, INT64(vector.lanes))
            loaded = (vector.load(builder, row, start, count) for row in (source, target))
            result = combine(builder, *loaded, *factors)
            vector.store(builder, result, target, start, count if ragged == "target" else None)

        with cgutils.for_range(builder, whole) as loop:
            move(loop.index)
        if ragged:
            rest = builder.sub(numbers, builder.mul(whole, INT64(vector.lanes)))
            with builder.if_then(builder.icmp_signed(">", rest, INT64(0))):
                move(whole, rest)

    def plain(typing: Any, source: types.CPointer, target: types.CPointer, numbers: types.Integer) -> Any:
        vector = Vector(target.dtype)
        symbol = f"musicrnn_{name}_{vector.suffix}"
        build = emit(lambda builder, *args: call_own(builder, symbol, args, partial(fill, vector)))
        return types.void(source, target, types.int64), build

    def times(typing: Any, source: Any, target: Any, numbers: Any, factor: Any) -> Any:
        return types.void(source, target, types.int64, target.dtype), plain(typing, source, target, numbers)[
            1
        ]

    return intrinsic_named(name, document, times if scaled else plain)


def _take(builder: ir.IRBuilder, source: ir.Value, target: ir.Value) -> ir.Value:
    return source


def _add(builder: ir.IRBuilder, source: ir.Value, target: ir.Value) -> ir.Value:
    return builder.fadd(target, source)


def _add_times(builder: ir.IRBuilder, source: ir.Value, target: ir.Value, factor: ir.Value) -> ir.Value:
    return builder.fadd(target, builder.fmul(factor, source, flags=CONTRACT), flags=CONTRACT)


def _zero(builder: ir.IRBuilder, source: ir.Value, target: ir.Value) -> ir.Value:
    return ir.Constant(target.type, None)


copy = _row_function("copy", _take, "Copy numbers.")
copy_in = _row_function("copy_in", _take, "Copy numbers, with zeros to the end of a vector.", "source")
copy_out = _row_function("copy_out", _take, "Copy numbers, and none after them.", "target")
add = _row_function("add", _add, "Add numbers to others.")
add_in = _row_function("add_in", _add, "Add numbers to others, and none after them.", "target")
add_times = _row_function("add_times", _add_times, "Add numbers, scaled, to others.", scaled=True)
clear = _row_function("clear", _zero, "Set numbers to zero.")
