"""A vector register as a numba type, and raw memory to load it from.

Equations written with these vectors compile to one instruction an operation, whatever the compiler's own
vectoriser makes of a loop: numba sees a value with ``+ - * /``, LLVM sees ``<16 x float>``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
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


INT32, INT64 = ir.IntType(32), ir.IntType(64)


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

    def load(self, builder: Any, start: ir.Value, numbers: ir.Value, count: Any = None) -> ir.Value:
        """Load the vector at an offset from a pointer; with a count, zeros for all but its first lanes."""
        place = self.place(builder, start, numbers)
        if count is None:
            return builder.load(place, align=self.align)
        operands = INT32(self.align), self.before(builder, count), ir.Constant(self.llvm, None)
        return call(builder, f"llvm.masked.load.{self.suffix}.p0", self.llvm, place, *operands)

    def store(
        self, builder: Any, value: ir.Value, start: ir.Value, numbers: ir.Value, count: Any = None
    ) -> None:
        """Store a vector at an offset from a pointer; with a count, its first lanes alone."""
        place = self.place(builder, start, numbers)
        if count is None:
            builder.store(value, place, align=self.align)
        else:
            operands = place, INT32(self.align), self.before(builder, count)
            call(builder, f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), value, *operands)

    def before(self, builder: Any, count: ir.Value) -> ir.Value:
        """Return which lanes come before a count."""
        integers = ir.VectorType(INT32, self.lanes)
        limit = splat(builder, builder.trunc(count, INT32), integers)
        return builder.icmp_signed("<", ir.Constant(integers, list(range(self.lanes))), limit)


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


def call_own(
    builder: ir.IRBuilder, name: str, arguments: Sequence[ir.Value], fill: Callable[..., None]
) -> None:
    """Call a function of the module's own; at the first call, ``fill(builder, *arguments)`` writes it."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = ir.Function(builder.module, kind, name)
        function.linkage = "internal"
        inner = ir.IRBuilder(function.append_basic_block())
        fill(inner, *function.args)
        inner.ret_void()
    builder.call(function, arguments)


def emit(build: Callable[..., ir.Value | None]) -> Callable[..., Any]:
    """Return numba's code generator from a function of the builder and the values of the arguments."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = build(builder, *args)
        return context.get_dummy_value() if sig.return_type == types.void else value

    return generate


def intrinsic_named(name: str, document: str | None, typed: Callable[..., Any]) -> Any:
    """Return numba's intrinsic of a typing function, with a name and a docstring."""
    typed.__name__, typed.__doc__ = name, document
    return intrinsic(typed)


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


@intrinsic
def load_some(typing: Any, start: types.CPointer, numbers: types.Integer, count: types.Integer) -> Any:
    """Load a vector of which only the first ``count`` lanes are in memory; the others are zero."""
    vector = Vector(start.dtype)
    return vector(start, numbers, types.intp), emit(vector.load)


@intrinsic
def store_some(typing: Any, value: Vector, start: types.CPointer, numbers: Any, count: Any) -> Any:
    """Store the first ``count`` lanes of a vector."""
    return types.void(value, start, numbers, types.intp), emit(value.store)


@intrinsic
def keep_lanes(typing: Any, x: Vector, count: types.Integer) -> Any:
    """Return a vector with zeros after its first ``count`` lanes."""

    def build(builder: Any, value: ir.Value, count: ir.Value) -> ir.Value:
        return builder.select(x.before(builder, count), value, ir.Constant(x.llvm, None))

    return x(x, types.intp), emit(build)


@intrinsic
def total(typing: Any, x: Vector) -> Any:
    """Return the sum of all lanes: of halves, of halves of those, and so on."""

    def build(builder: Any, value: ir.Value) -> ir.Value:
        width = x.lanes
        while width > 1:
            width //= 2
            kind, undefined = ir.VectorType(INT32, width), ir.Constant(value.type, ir.Undefined)
            indices = (ir.Constant(kind, list(range(start, start + width))) for start in (0, width))
            value = builder.fadd(*(builder.shuffle_vector(value, undefined, half) for half in indices))
        return builder.extract_element(value, INT32(0))

    return x.dtype(x), emit(build)


@intrinsic
def get(typing: Any, start: types.CPointer, numbers: types.Integer) -> Any:
    """Load the single number at an offset from a pointer, in numbers."""
    return start.dtype(start, numbers), emit(
        lambda builder, start, at: builder.load(builder.gep(start, [at]))
    )


@intrinsic
def put(typing: Any, value: types.Float, start: types.CPointer, numbers: types.Integer) -> Any:
    """Store a single number at an offset from a pointer, in numbers."""
    return types.void(start.dtype, start, numbers), emit(
        lambda builder, value, start, at: builder.store(value, builder.gep(start, [at]))
    )


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


def _tuple_store(name: str, document: str, combine: Callable[..., ir.Value]) -> Any:
    """Return ``f(values, start, numbers, stride)``; it stores ``combine(builder, value, before)`` of each."""

    def typed(typing: Any, values: types.BaseTuple, start: types.CPointer, numbers: Any, stride: Any) -> Any:
        vector = Vector(start.dtype)

        def build(builder: Any, tuple_: ir.Value, start: ir.Value, at: ir.Value, stride: ir.Value) -> None:
            for value in cgutils.unpack_tuple(builder, tuple_, len(values)):
                result = combine(builder, value, vector.load(builder, start, at))
                vector.store(builder, result, start, at)
                at = builder.add(at, stride)

        return types.void(values, start, types.intp, types.intp), emit(build)

    return intrinsic_named(name, document, typed)


store_each = _tuple_store(
    "store_each", "Store a tuple of vectors ``stride`` numbers apart.", lambda builder, value, before: value
)
add_each = _tuple_store(
    "add_each",
    "Add a tuple of vectors to what lies ``stride`` numbers apart.",
    lambda builder, value, before: builder.fadd(before, value),
)


def _bits(builder: Any, lanes: ir.Value) -> ir.Value:
    """Return the truth of each SIMD element as a bit of an integer."""
    return builder.zext(builder.bitcast(lanes, ir.IntType(lanes.type.count)), INT64)


@intrinsic
def nonzero(typing: Any, x: Vector) -> Any:
    """Return which lanes aren't zero, as bits of an integer."""
    zero = ir.Constant(x.llvm, None)
    return types.int64(x), emit(lambda builder, x: _bits(builder, builder.fcmp_unordered("!=", x, zero)))


@intrinsic
def below(typing: Any, x: Vector, bound: Vector) -> Any:
    """Return which lanes of x are below those of a bound, as bits of an integer."""
    return types.int64(x, bound), emit(
        lambda builder, *sides: _bits(builder, builder.fcmp_ordered("<", *sides))
    )


@intrinsic
def lowest_bit(typing: Any, bits: types.Integer) -> Any:
    """Return the position of the lowest bit that is set."""
    no = ir.Constant(ir.IntType(1), 0)
    return types.int64(types.int64), emit(lambda builder, bits: builder.cttz(bits, no))
