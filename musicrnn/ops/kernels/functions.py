"""Sigmoid, tanh and softplus of vectors, to the last few bits.

All are built on exp(x) - 1 = 2^n (e^r - 1) + (2^n - 1) with x = n ln 2 + r and |r| <= ln(2)/2, e^r - 1 by
its Taylor series. No digits cancel near zero, so that small values keep their relative precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from musicrnn.ops.kernels.vectors import Vector, call, emit, intrinsic_named

_TERMS = {32: 7, 64: 13}
"""Terms of the series after which the error is below half a unit in the last place."""

_ARTANH_TERMS = {32: 7, 64: 16}
"""The same for artanh up to a third."""

_LN2_HIGH = {32: 0.693359375, 64: 0.69314718036912381649}
"""The leading bits of ln 2, few enough that a product with an exponent is exact."""

_LN2_LOW = {32: math.log(2) - 0.693359375, 64: 1.9082149292705877e-10}
"""The other bits."""

FARTHEST = 80.0
"""Exponents are kept within this range, which float32 can hold; sigmoid and tanh are flat by then."""


def _constant(x: Vector, value: float) -> ir.Constant:
    return ir.Constant(x.llvm, [value] * x.lanes)


def _fma(builder: ir.IRBuilder, x: Vector, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    return call(builder, f"llvm.fma.{x.suffix}", x.llvm, a, b, c)


def _powers(builder: ir.IRBuilder, argument: ir.Value, x: Vector) -> tuple[ir.Value, ir.Value]:
    """Return 2^n and e^r - 1 for exp(a) = 2^n e^r, with a clipped to the range of exponents."""
    bits, shape = x.dtype.bitwidth, x.llvm
    integers = ir.VectorType(ir.IntType(bits), x.lanes)
    for relation, bound in (("<", _constant(x, -FARTHEST)), (">", _constant(x, FARTHEST))):
        argument = builder.select(builder.fcmp_ordered(relation, argument, bound), bound, argument)
    turns = builder.fmul(argument, _constant(x, 1 / math.log(2)))
    n = call(builder, f"llvm.rint.{x.suffix}", shape, turns)
    r = _fma(builder, x, n, _constant(x, -_LN2_HIGH[bits]), argument)
    r = _fma(builder, x, n, _constant(x, -_LN2_LOW[bits]), r)
    series = _constant(x, 1 / math.factorial(_TERMS[bits]))
    for term in range(_TERMS[bits] - 1, 0, -1):
        series = _fma(builder, x, series, r, _constant(x, 1 / math.factorial(term)))
    mantissa, bias = (23, 127) if bits == 32 else (52, 1023)
    exponent = builder.add(builder.fptosi(n, integers), ir.Constant(integers, [bias] * x.lanes))
    power = builder.bitcast(builder.shl(exponent, ir.Constant(integers, [mantissa] * x.lanes)), shape)
    return power, builder.fmul(series, r)


def _expm1(builder: ir.IRBuilder, argument: ir.Value, x: Vector) -> ir.Value:
    power, rest = _powers(builder, argument, x)
    return _fma(builder, x, power, rest, builder.fsub(power, _constant(x, 1.0)))


def _function(build: Callable[[ir.IRBuilder, ir.Value, Vector], ir.Value]) -> Any:
    """Make a function of a vector, with its type, one that kernels can call."""

    def typed(typing: Any, x: Vector) -> Any:
        return x(x), emit(lambda builder, value: build(builder, value, x))

    return intrinsic_named(build.__name__, build.__doc__, typed)


@_function
def sigmoid(builder: ir.IRBuilder, value: ir.Value, x: Vector) -> ir.Value:
    """Return 1 / (1 + exp(-x))."""
    e = _expm1(builder, builder.fneg(value), x)
    return builder.fdiv(_constant(x, 1.0), builder.fadd(e, _constant(x, 2.0)))


@_function
def tanh(builder: ir.IRBuilder, value: ir.Value, x: Vector) -> ir.Value:
    """Return (exp(2 x) - 1) / (exp(2 x) + 1)."""
    e = _expm1(builder, builder.fadd(value, value), x)
    return builder.fdiv(e, builder.fadd(e, _constant(x, 2.0)))


@_function
def softplus(builder: ir.IRBuilder, value: ir.Value, x: Vector) -> ir.Value:
    """Return log(1 + exp(x)) = max(x, 0) + log(1 + e) with e = exp(-|x|).

    log(1 + e) is 2 artanh(z) with z = e / (2 + e), which is a third at most: a series of odd powers.
    """
    zero, terms = _constant(x, 0.0), _ARTANH_TERMS[x.dtype.bitwidth]
    positive = builder.fcmp_ordered(">", value, zero)
    power, rest = _powers(builder, builder.select(positive, builder.fneg(value), value), x)
    e = _fma(builder, x, power, rest, power)
    z = builder.fdiv(e, builder.fadd(e, _constant(x, 2.0)))
    square = builder.fmul(z, z)
    series = _constant(x, 2 / (2 * terms - 1))
    for term in range(terms - 1, 0, -1):
        series = _fma(builder, x, series, square, _constant(x, 2 / (2 * term - 1)))
    number = builder.fcmp_ordered("ord", value, value)
    above = builder.select(positive, value, builder.select(number, zero, value))  # NaN stays NaN
    return _fma(builder, x, series, z, above)


@_function
def relu(builder: ir.IRBuilder, value: ir.Value, x: Vector) -> ir.Value:
    """Return x where it is above zero, and zero elsewhere; NaN stays NaN."""
    zero = _constant(x, 0.0)
    return builder.select(builder.fcmp_ordered("<", value, zero), zero, value)


@_function
def step(builder: ir.IRBuilder, value: ir.Value, x: Vector) -> ir.Value:
    """Return one where x is above zero, and zero elsewhere."""
    zero, one = _constant(x, 0.0), _constant(x, 1.0)
    return builder.select(builder.fcmp_ordered(">", value, zero), one, zero)
