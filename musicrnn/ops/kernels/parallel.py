"""Threads for kernels: those that torch's own operations run on.

A second pool beside torch's would fight with it: OpenMP's threads go on spinning for milliseconds after
every operation, on the very cores that the other pool was given. So kernels run as a parallel region of the
OpenMP library that torch has loaded. Where torch has none that can be called, threads are started for
each call.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import torch


@cache
def _parallel() -> Callable[..., Any] | None:
    """Return what starts a parallel region: of GNU's OpenMP, or of another that offers the same."""
    try:
        function = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (AttributeError, OSError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    return function


def by_threads(function: int) -> Callable[[int, int], None]:
    """Return what calls a C function ``void (*)(void *)`` in several threads at once.

    Args:
        function: Its address.

    Returns:
        ``run(data, threads)``: call it once in each thread, with the address of its argument; return when all
        are done.
    """
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)
    parallel = _parallel()

    def run(data: int, threads: int) -> None:
        if threads == 1:
            call(data)
        elif parallel is not None:
            parallel(function, data, threads, 0)
        else:
            others = [threading.Thread(target=call, args=(data,)) for _ in range(threads - 1)]
            for thread in others:
                thread.start()
            call(data)
            for thread in others:
                thread.join()

    return run
