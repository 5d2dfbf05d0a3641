"""Exponential, sigmoid and tanh of vectors, to the last few bits.

Both are built on exp(x) - 1 = 2^n (e^r - 1) + (2^n - 1) with x = n ln 2 + r and |r| <= ln(2)/2, e^r - 1 by
its Taylor series. No digits cancel near zero, so that small values keep their relative precision.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, register_jitable

from musicrnn.ops.kernels.vectors import CONTRACT, Vector, as_vector, call

_TERMS = {32: 7, 64: 13}
"""Terms of the series after which the error is below half a unit in the last place."""

_LN2_HIGH = {32: 0.693359375, 64: 0.69314718036912381649}
"""The leading bits of ln 2, few enough that a product with an exponent is exact."""

FARTHEST = 80.0
"""Exponents are kept within this range, which float32 can hold; sigmoid and tanh are flat by then."""


@intrinsic
def expm1(typing: Any, x: Vector) -> Any:
    """Return exp(x) - 1 for vectors whose lanes lie inside the exponents' range."""
    bits, shape = x.dtype.bitwidth, x.llvm
    integers = ir.VectorType(ir.IntType(bits), x.lanes)
    mantissa = 23 if bits == 32 else 52
    bias = 127 if bits == 32 else 1023

    def constant(value: float) -> ir.Constant:
        return ir.Constant(shape, [value] * x.lanes)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        def fma(a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
            return call(builder, f"llvm.fma.{x.suffix}", shape, a, b, c)

        n = call(builder, f"llvm.rint.{x.suffix}", shape, builder.fmul(args[0], constant(1 / math.log(2))))
        high = _LN2_HIGH[bits]
        r = fma(n, constant(-high), args[0])
        r = fma(n, constant(-(math.log(2) - high) if bits == 32 else -1.9082149292705877e-10), r)
        series = constant(1 / math.factorial(_TERMS[bits]))
        for term in range(_TERMS[bits] - 1, 0, -1):
            series = fma(series, r, constant(1 / math.factorial(term)))
        series = builder.fmul(series, r)
        exponent = builder.add(builder.fptosi(n, integers), ir.Constant(integers, [bias] * x.lanes))
        power = builder.bitcast(builder.shl(exponent, ir.Constant(integers, [mantissa] * x.lanes)), shape)
        return fma(power, series, builder.fsub(power, constant(1.0), flags=CONTRACT))

    return x(x), generate


@intrinsic
def clamp(typing: Any, x: Vector, low: types.Number, high: types.Number) -> Any:
    """Return x, but no less than ``low`` and no more than ``high``; NaN stays NaN."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        value = args[0]
        for relation, bound, kind in (("<", args[1], sig.args[1]), (">", args[2], sig.args[2])):
            limit = as_vector(context, builder, bound, kind, x)
            value = builder.select(builder.fcmp_ordered(relation, value, limit), limit, value)
        return value

    return x(x, low, high), generate


@intrinsic
def step(typing: Any, x: Vector) -> Any:
    """Return one where x is above zero, and zero elsewhere."""
    shape = x.llvm

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        zero, one = ir.Constant(shape, None), ir.Constant(shape, [1.0] * x.lanes)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), one, zero)

    return x(x), generate


@register_jitable
def sigmoid(x):  # type: ignore[no-untyped-def]
    """Return 1 / (1 + exp(-x))."""
    return 1.0 / (2.0 + expm1(clamp(0.0 - x, -FARTHEST, FARTHEST)))


@register_jitable
def tanh(x):  # type: ignore[no-untyped-def]
    """Return (exp(2 x) - 1) / (exp(2 x) + 1)."""
    e = expm1(clamp(x + x, -FARTHEST, FARTHEST))
    return e / (e + 2.0)


@register_jitable
def relu(x):  # type: ignore[no-untyped-def]
    """Return x where it is above zero, and zero elsewhere; NaN stays NaN."""
    return clamp(x, 0.0, math.inf)
