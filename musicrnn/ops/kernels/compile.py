"""Entry points of kernels: compiled at the first call, kept on disk, announced, run by several threads.

Their arguments are a record of sizes and addresses, of which every call takes the next slice of rows.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import struct
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import from_dtype, types
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.extending import intrinsic
from torch import Tensor

from musicrnn.ops.kernels.equations import OPTIONS, inlined
from musicrnn.ops.kernels.vectors import INT64, emit

log = logging.getLogger("musicrnn.ops")

BEGINNING = ("taken", "slices")
"""The first fields of every record: slices that have been taken, and their number in all."""


@intrinsic
def _arguments_at(typing: Any, record: types.CPointer) -> Any:
    """Return the record at an address."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(record.dtype))

    return record.dtype(record), generate


@intrinsic
def _claim(typing: Any, record: types.CPointer) -> Any:
    """Take the next slice; return its index."""

    def build(builder: Any, record: ir.Value) -> ir.Value:
        address = builder.bitcast(record, INT64.as_pointer())
        return builder.atomic_rmw("add", address, INT64(1), "monotonic")

    return types.int64(record), emit(build)


@inlined
def claim_slice(record):
    """Take the next slice; return arguments, a number of their type, slice, first row, one after the last."""
    args, index = _arguments_at(record), _claim(record)
    return args, args.like, index, index * args.rows // args.slices, (index + 1) * args.rows // args.slices


@cache
def _parallel() -> Callable[..., Any] | None:
    """Return the function that starts a parallel region, by its name in GNU's OpenMP.

    It is that of the OpenMP library that torch has loaded: a second thread pool would compete with torch's
    for cores, since OpenMP's threads spin for milliseconds after every operation.
    """
    try:
        function = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (AttributeError, OSError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    return function


class Entry:
    """A compiled function that works on slices of a batch's rows.

    Args:
        name: Tells kernels apart in the cache.
        body: Jitable ``body(record)``, which works on the slice that it claims.
        fields: Names of its arguments, all integers: sizes and addresses. One of them is ``rows``.
        dtype: Type of the numbers; ``like`` in the record is one of them.
    """

    def __init__(
        self, name: str, body: Callable[..., None], fields: tuple[str, ...], dtype: torch.dtype
    ) -> None:
        number = str(dtype).removeprefix("torch.")
        integers = (*BEGINNING, *fields)
        record = np.dtype([*((field, np.int64) for field in integers), ("like", number)], align=True)
        entry = FunctionType(body.__code__, body.__globals__, name, body.__defaults__, body.__closure__)
        entry.__qualname__ = f"{name}_{number}_{_sources()}"
        arguments = (types.CPointer(from_dtype(record)),)
        self._compiled = CFunc(entry, (arguments, types.void), {}, OPTIONS)
        try:
            self._compiled._cache = _Cache(entry)
        except RuntimeError:  # no folder can be written
            _announce()
        self._compiled.compile()
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._compiled.address)
        self._nothing = dict.fromkeys(fields, 0)
        self._pack = struct.Struct(f"@{len(integers)}q{np.dtype(number).char}").pack

    def __call__(self, slices: int, sizes: dict[str, int], **tensors: Tensor | None) -> None:
        """Run the kernel, each slice on one thread; tensors are passed by their addresses, None as zero."""
        addresses = {name: 0 if tensor is None else tensor.data_ptr() for name, tensor in tensors.items()}
        values = (self._nothing | sizes | addresses).values()
        record = ctypes.create_string_buffer(self._pack(0, slices, *values, 0.0))
        taken, threads = ctypes.c_int64.from_buffer(record), torch.get_num_threads()
        while taken.value < slices:  # there may be fewer threads than slices, or than requested
            self._run(ctypes.addressof(record), min(slices - taken.value, threads))

    def _run(self, record: int, threads: int) -> None:
        """Call the function once in each thread, with a record's address; return when all are done."""
        parallel = _parallel() if threads > 1 else None
        if parallel is not None:
            parallel(self._compiled.address, record, threads, 0)
            return
        others = [threading.Thread(target=self._call, args=(record,)) for _ in range(threads - 1)]
        for thread in others:
            thread.start()
        self._call(record)
        for thread in others:
            thread.join()


class _Cache(FunctionCache):
    """Numba's cache on disk, for functions whose name holds a digest of their sources."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with self._guard_against_spurious_io_errors():
            found = self._load_overload(sig, target_context)  # without the imports of a compilation
        if found is None:
            _announce()
        return found


@cache
def _announce() -> None:
    log.warning("compiling kernels, once …")


@cache
def _sources() -> str:
    """Return a digest of all sources of kernels, so that none outlives its source."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
