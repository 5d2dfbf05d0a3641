"""Exponential, sigmoid and tanh of vectors, to the last few bits.

Both are built on exp(x) - 1 = 2^n (e^r - 1) + (2^n - 1) with x = n ln 2 + r and |r| <= ln(2)/2, e^r - 1 by
its Taylor series. No digits cancel near zero, so that small values keep their relative precision.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from musicrnn.ops.kernels.vectors import Vector, call

_TERMS = {32: 7, 64: 13}
"""Terms of the series after which the error is below half a unit in the last place."""

_LN2_HIGH = {32: 0.693359375, 64: 0.69314718036912381649}
"""The leading bits of ln 2, few enough that a product with an exponent is exact."""

_LN2_LOW = {32: math.log(2) - 0.693359375, 64: 1.9082149292705877e-10}
"""The rest of it."""

FARTHEST = 80.0
"""Exponents are kept within this range, which float32 can hold; sigmoid and tanh are flat by then."""


def _constant(x: Vector, value: float) -> ir.Constant:
    return ir.Constant(x.llvm, [value] * x.lanes)


def _expm1(builder: ir.IRBuilder, argument: ir.Value, x: Vector) -> ir.Value:
    """Return exp(a) - 1, with a brought inside the exponents' range."""
    bits, shape = x.dtype.bitwidth, x.llvm
    integers = ir.VectorType(ir.IntType(bits), x.lanes)

    def fma(a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return call(builder, f"llvm.fma.{x.suffix}", shape, a, b, c)

    for relation, bound in (("<", _constant(x, -FARTHEST)), (">", _constant(x, FARTHEST))):
        argument = builder.select(builder.fcmp_ordered(relation, argument, bound), bound, argument)
    turns = builder.fmul(argument, _constant(x, 1 / math.log(2)))
    n = call(builder, f"llvm.rint.{x.suffix}", shape, turns)
    r = fma(n, _constant(x, -_LN2_HIGH[bits]), argument)
    r = fma(n, _constant(x, -_LN2_LOW[bits]), r)
    series = _constant(x, 1 / math.factorial(_TERMS[bits]))
    for term in range(_TERMS[bits] - 1, 0, -1):
        series = fma(series, r, _constant(x, 1 / math.factorial(term)))
    mantissa, bias = (23, 127) if bits == 32 else (52, 1023)
    exponent = builder.add(builder.fptosi(n, integers), ir.Constant(integers, [bias] * x.lanes))
    power = builder.bitcast(builder.shl(exponent, ir.Constant(integers, [mantissa] * x.lanes)), shape)
    return fma(power, builder.fmul(series, r), builder.fsub(power, _constant(x, 1.0)))


@intrinsic
def sigmoid(typing: Any, x: Vector) -> Any:
    """Return 1 / (1 + exp(-x))."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        e = _expm1(builder, builder.fneg(args[0]), x)
        return builder.fdiv(_constant(x, 1.0), builder.fadd(e, _constant(x, 2.0)))

    return x(x), generate


@intrinsic
def tanh(typing: Any, x: Vector) -> Any:
    """Return (exp(2 x) - 1) / (exp(2 x) + 1)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        e = _expm1(builder, builder.fadd(args[0], args[0]), x)
        return builder.fdiv(e, builder.fadd(e, _constant(x, 2.0)))

    return x(x), generate


@intrinsic
def relu(typing: Any, x: Vector) -> Any:
    """Return x where it is above zero, and zero elsewhere; NaN stays NaN."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        zero = _constant(x, 0.0)
        return builder.select(builder.fcmp_ordered("<", args[0], zero), zero, args[0])

    return x(x), generate


@intrinsic
def step(typing: Any, x: Vector) -> Any:
    """Return one where x is above zero, and zero elsewhere."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        zero = _constant(x, 0.0)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), _constant(x, 1.0), zero)

    return x(x), generate
