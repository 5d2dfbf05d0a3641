"""What kernels are told: a record of sizes and addresses, of which every call takes the next slice."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from musicrnn.ops.kernels.equations import on_vectors

BEGINNING = ("taken", "slices")
"""How every record begins: slices that have been taken, and those that there are."""


@intrinsic
def job_at(typing: Any, jobs: types.CPointer) -> Any:
    """Return the record at an address."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(jobs.dtype))

    return jobs.dtype(jobs), generate


@intrinsic
def claim(typing: Any, jobs: types.CPointer) -> Any:
    """Take the next slice; return its number."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        address = builder.bitcast(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", address, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(jobs), generate


@on_vectors
def share(index, job):
    """Return the first row of a slice, and the one behind its last."""
    return index * job.rows // job.slices, (index + 1) * job.rows // job.slices
