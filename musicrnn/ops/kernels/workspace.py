"""Memory that kernels use again and again.

Fresh memory costs more than what kernels do with it: the system hands it out page by page, at the first
touch of each, cleared. So what lives from a forward to its backward pass, or shorter, is cut from buffers
that come back to a pool.
"""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

ALIGNMENT = 64
"""Bytes; a cache line, and the widest register."""

_pool: list[Tensor] = []
_lock = threading.Lock()


class Workspace:
    """A buffer to cut tensors from; it goes back to the pool when the workspace is garbage.

    Args:
        size: Bytes.
    """

    def __init__(self, size: int) -> None:
        with _lock:
            fitting = [buffer for buffer in _pool if len(buffer) >= size]
            unfit = min(fitting, key=len) if fitting else max(_pool, key=len, default=None)
            if unfit is not None:  # one that is too small makes room for its successor
                _pool[:] = [buffer for buffer in _pool if buffer is not unfit]
        self._buffer = (
            unfit if fitting and unfit is not None else torch.empty(size * 9 // 8, dtype=torch.uint8)
        )
        self._used = 0

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Cut off an uninitialised tensor."""
        start, self._used = self._used, self._used + room(*shape, dtype=dtype)
        size = math.prod(shape) * dtype.itemsize
        return self._buffer.narrow(0, start, size).view(dtype).view(shape)

    def __del__(self) -> None:
        _pool.append(self._buffer)  # no lock: garbage may be collected while this very thread holds it


def room(*shape: int, dtype: torch.dtype) -> int:
    """Return the bytes that a tensor takes up in a workspace."""
    return -(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT
