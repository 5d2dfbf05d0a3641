"""Threads for kernels: those that torch's own operations run on.

A second thread pool would compete with torch's for cores: OpenMP's threads spin for milliseconds after every
operation. So kernels run as a parallel region of the OpenMP library that torch has loaded. Where torch has
none that can be called, threads are started for each call.
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
    """Return the function that starts a parallel region, by its name in GNU's OpenMP."""
    try:
        function = ctypes.CDLL(torch._C.__file__).GOMP_parallel
    except (AttributeError, OSError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    return function


def by_threads(function: int) -> Callable[[int, int], None]:
    """Return ``run(data, threads)``, which calls a C function ``void (*)(void *)`` once in each thread.

    The function is given by its address, and so is its argument; ``run`` returns when all are done.
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
