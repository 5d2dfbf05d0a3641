"""A vector register as a numba type, and raw memory to load it from.

Equations written with these vectors compile to one instruction an operation, whatever the compiler's own
vectoriser makes of a loop: numba sees a value with ``+ - * /``, LLVM sees ``<16 x float>``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model


def _register_bytes() -> int:
    """Width of the host's vector registers."""
    features = {} if numba.config.CPU_NAME == "generic" else llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


REGISTER_BYTES = _register_bytes()
REGISTERS = 16 if REGISTER_BYTES == 32 else 32
"""Vector registers to plan tiles for: AVX has 16; AVX-512 and NEON have 32."""

CONTRACT = ("contract",)
"""Lets a product and a sum become one fused multiply-add."""


def lanes_in(dtype: torch.dtype) -> int:
    """Return how many numbers of a type a register holds."""
    return REGISTER_BYTES // dtype.itemsize


INT32 = ir.IntType(32)


class Vector(types.Type):
    """As many floating-point numbers as a register holds."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.align = dtype.bitwidth // 8
        self.lanes = REGISTER_BYTES // self.align
        self.llvm = ir.VectorType(ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType(), self.lanes)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"  # in the names of LLVM's intrinsics
        super().__init__(name=f"vector({dtype} x {self.lanes})")

    def place(self, builder: Any, start: ir.Value, numbers: ir.Value) -> ir.Value:
        """Return the address of the vector at an offset from a pointer, in numbers."""
        return builder.bitcast(builder.gep(start, [numbers]), self.llvm.as_pointer())

    def load(self, builder: Any, start: ir.Value, numbers: ir.Value) -> ir.Value:
        """Load the vector at an offset from a pointer, in numbers."""
        return builder.load(self.place(builder, start, numbers), align=self.align)

    def store(self, builder: Any, value: ir.Value, start: ir.Value, numbers: ir.Value) -> None:
        """Store a vector at an offset from a pointer, in numbers."""
        builder.store(value, self.place(builder, start, numbers), align=self.align)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.llvm)


def splat(builder: ir.IRBuilder, scalar: ir.Value, shape: ir.VectorType) -> ir.Value:
    """Return a vector whose lanes all hold a scalar."""
    one = builder.insert_element(ir.Constant(shape, ir.Undefined), scalar, INT32(0))
    lanes = ir.Constant(ir.VectorType(INT32, shape.count), [0] * shape.count)
    return builder.shuffle_vector(one, ir.Constant(shape, ir.Undefined), lanes)


def call(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
    """Call one of LLVM's intrinsics."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def emit(build: Callable[..., ir.Value | None]) -> Callable[..., Any]:
    """Return numba's code generator from a function of the builder and the values of the arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = build(builder, *args)
        return context.get_dummy_value() if value is None else value

    return generate


def _arithmetic(function: Any, instruction: str) -> None:
    """Teach numba an operator between vectors, and between vectors and numbers."""

    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args: tuple[types.Type, ...], kws: Any) -> Any:
            vectors = [kind for kind in args if isinstance(kind, Vector)]
            if len(args) == 2 and vectors and all(isinstance(a, (Vector, types.Number)) for a in args):
                return signature(vectors[0], *args)
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        def as_vector(value: Any, kind: types.Type) -> ir.Value:
            if kind == vector:
                return value
            return splat(builder, context.cast(builder, value, kind, vector.dtype), vector.llvm)

        vector = sig.return_type
        return getattr(builder, instruction)(*map(as_vector, args, sig.args), flags=CONTRACT)

    for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(function, *kinds)(lower)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


@intrinsic
def pointer(typing: Any, address: types.Integer, like: types.Float) -> Any:
    """Take an integer for the address of numbers of the type of ``like``."""
    kind = types.CPointer(like)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return kind(address, like), generate


@intrinsic
def offset(typing: Any, start: types.CPointer, numbers: types.Integer) -> Any:
    """Move a pointer by a count of numbers."""
    return start(start, numbers), emit(lambda builder, start, numbers: builder.gep(start, [numbers]))


@intrinsic
def load(typing: Any, start: types.CPointer, numbers: types.Integer) -> Any:
    """Load the vector at an offset from a pointer, in numbers."""
    vector = Vector(start.dtype)
    return vector(start, numbers), emit(vector.load)


@intrinsic
def store(typing: Any, value: Vector, start: types.CPointer, numbers: types.Integer) -> Any:
    """Store a vector at an offset from a pointer, in numbers."""
    return types.void(value, start, numbers), emit(value.store)


def _mask(builder: Any, count: ir.Value, vector: Vector) -> ir.Value:
    """Return which lanes come before a count."""
    integers = ir.VectorType(INT32, vector.lanes)
    limit = splat(builder, builder.trunc(count, INT32), integers)
    return builder.icmp_signed("<", ir.Constant(integers, list(range(vector.lanes))), limit)


def load_lanes(builder: Any, source: ir.Value, count: ir.Value, vector: Vector) -> ir.Value:
    """Load a vector of which only the first ``count`` lanes are in memory; the others are zero."""
    align, mask, zero = INT32(vector.align), _mask(builder, count, vector), ir.Constant(vector.llvm, None)
    return call(builder, f"llvm.masked.load.{vector.suffix}.p0", vector.llvm, source, align, mask, zero)


def store_lanes(builder: Any, value: ir.Value, target: ir.Value, count: ir.Value, vector: Vector) -> None:
    """Store the first ``count`` lanes of a vector."""
    align, mask = INT32(vector.align), _mask(builder, count, vector)
    call(builder, f"llvm.masked.store.{vector.suffix}.p0", ir.VoidType(), value, target, align, mask)


@intrinsic
def load_some(typing: Any, start: types.CPointer, numbers: types.Integer, count: types.Integer) -> Any:
    """Load a vector of which only the first ``count`` lanes are in memory; the others are zero."""
    vector = Vector(start.dtype)

    def build(builder: Any, start: ir.Value, numbers: ir.Value, count: ir.Value) -> ir.Value:
        return load_lanes(builder, vector.place(builder, start, numbers), count, vector)

    return vector(start, numbers, types.intp), emit(build)


@intrinsic
def store_some(typing: Any, value: Vector, start: types.CPointer, numbers: Any, count: Any) -> Any:
    """Store the first ``count`` lanes of a vector."""
    vector = value

    def build(builder: Any, value: ir.Value, start: ir.Value, numbers: ir.Value, count: ir.Value) -> None:
        store_lanes(builder, value, vector.place(builder, start, numbers), count, vector)

    return types.void(value, start, numbers, types.intp), emit(build)


@intrinsic
def first_lanes(typing: Any, value: Vector, count: types.Integer) -> Any:
    """Return a vector with zeros after its first ``count`` lanes."""
    vector, zero = value, ir.Constant(value.llvm, None)

    def build(builder: Any, value: ir.Value, count: ir.Value) -> ir.Value:
        return builder.select(_mask(builder, count, vector), value, zero)

    return value(value, types.intp), emit(build)


@intrinsic
def total(typing: Any, x: Vector) -> Any:
    """Return the sum of all lanes: of halves, of halves of those, and so on."""
    lanes = x.lanes

    def build(builder: Any, x: ir.Value) -> ir.Value:
        width = lanes
        while width > 1:
            width //= 2
            indices = (range(width), range(width, 2 * width))
            kind, undefined = ir.VectorType(INT32, width), ir.Constant(x.type, ir.Undefined)
            x = builder.fadd(
                *(builder.shuffle_vector(x, undefined, ir.Constant(kind, list(half))) for half in indices)
            )
        return builder.extract_element(x, INT32(0))

    return x.dtype(x), emit(build)


@intrinsic
def scalar(typing: Any, start: types.CPointer, numbers: types.Integer) -> Any:
    """Load the single number at an offset from a pointer, in numbers."""
    return start.dtype(start, numbers), emit(
        lambda builder, start, at: builder.load(builder.gep(start, [at]))
    )


@intrinsic
def put(typing: Any, value: types.Float, start: types.CPointer, numbers: types.Integer) -> Any:
    """Store a single number at an offset from a pointer, in numbers."""

    def build(builder: Any, value: ir.Value, start: ir.Value, numbers: ir.Value) -> None:
        builder.store(value, builder.gep(start, [numbers]))

    return types.void(start.dtype, start, numbers), emit(build)


@intrinsic
def lanes_of(typing: Any, start: types.CPointer) -> Any:
    """Return how many of the numbers at a pointer a vector holds."""
    lanes = ir.IntType(types.intp.bitwidth)(Vector(start.dtype).lanes)
    return types.intp(start), emit(lambda builder, start: lanes)


@intrinsic(prefer_literal=True)
def load_each(typing: Any, start: types.CPointer, numbers: Any, stride: Any, count: Any) -> Any:
    """Load a tuple of ``count`` vectors, a constant number, that lie ``stride`` numbers apart."""
    vector, length = Vector(start.dtype), count.literal_value

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        values, at = [], args[1]
        for _ in range(length):
            values.append(vector.load(builder, args[0], at))
            at = builder.add(at, args[2])
        return context.make_tuple(builder, sig.return_type, values)

    return types.UniTuple(vector, length)(start, types.intp, types.intp, count), generate


@intrinsic
def store_each(typing: Any, values: types.BaseTuple, start: types.CPointer, numbers: Any, stride: Any) -> Any:
    """Store a tuple of vectors ``stride`` numbers apart."""
    vector, length = Vector(start.dtype), len(values)

    def build(builder: Any, values: ir.Value, start: ir.Value, at: ir.Value, stride: ir.Value) -> None:
        for value in cgutils.unpack_tuple(builder, values, length):
            vector.store(builder, value, start, at)
            at = builder.add(at, stride)

    return types.void(values, start, types.intp, types.intp), emit(build)


@intrinsic
def add_each(typing: Any, values: types.BaseTuple, start: types.CPointer, numbers: Any, stride: Any) -> Any:
    """Add a tuple of vectors to what lies ``stride`` numbers apart."""
    vector, length = Vector(start.dtype), len(values)

    def build(builder: Any, values: ir.Value, start: ir.Value, at: ir.Value, stride: ir.Value) -> None:
        for value in cgutils.unpack_tuple(builder, values, length):
            vector.store(builder, builder.fadd(vector.load(builder, start, at), value), start, at)
            at = builder.add(at, stride)

    return types.void(values, start, types.intp, types.intp), emit(build)


@intrinsic
def nonzero(typing: Any, x: Vector) -> Any:
    """Return which lanes aren't zero, as bits of an integer."""
    zero, bits = ir.Constant(x.llvm, None), ir.IntType(x.lanes)

    def build(builder: Any, x: ir.Value) -> ir.Value:
        return builder.zext(builder.bitcast(builder.fcmp_unordered("!=", x, zero), bits), ir.IntType(64))

    return types.int64(x), emit(build)


@intrinsic
def below(typing: Any, x: Vector, bound: Vector) -> Any:
    """Return which lanes of x are below those of a bound, as bits of an integer."""
    bits = ir.IntType(x.lanes)

    def build(builder: Any, x: ir.Value, bound: ir.Value) -> ir.Value:
        return builder.zext(builder.bitcast(builder.fcmp_ordered("<", x, bound), bits), ir.IntType(64))

    return types.int64(x, bound), emit(build)


@intrinsic
def lowest_bit(typing: Any, bits: types.Integer) -> Any:
    """Return the position of the lowest bit that is set."""
    no = ir.Constant(ir.IntType(1), 0)
    return types.int64(types.int64), emit(lambda builder, bits: builder.cttz(bits, no))
