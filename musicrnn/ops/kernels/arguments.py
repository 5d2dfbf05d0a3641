"""Arguments of a kernel: a record of sizes and addresses; every call takes the next slice of its rows."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from musicrnn.ops.kernels.equations import inlined

BEGINNING = ("taken", "slices")
"""The first fields of every record: slices that have been taken, and their number in all."""


@intrinsic
def arguments_at(typing: Any, record: types.CPointer) -> Any:
    """Return the record at an address."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(record.dtype))

    return record.dtype(record), generate


@intrinsic
def claim_slice(typing: Any, record: types.CPointer) -> Any:
    """Take the next slice; return its index."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        address = builder.bitcast(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", address, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(record), generate


@inlined
def rows_of_slice(index, args):
    """Return the first row of a slice, and the one behind its last."""
    return index * args.rows // args.slices, (index + 1) * args.rows // args.slices
