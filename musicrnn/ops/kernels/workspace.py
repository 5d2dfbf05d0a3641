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

ALIGNMENT = 16
"""Numbers; not less than a cache line, or the widest register."""

_pool: list[Tensor] = []
_lock = threading.Lock()


class Workspace:
    """A buffer to lay things out in; it goes back to the pool when the workspace is garbage.

    Args:
        size: How many numbers.
        dtype: Their type.
    """

    def __init__(self, size: int, dtype: torch.dtype) -> None:
        size *= dtype.itemsize
        with _lock:
            fitting = [buffer for buffer in _pool if len(buffer) >= size]
            unfit = min(fitting, key=len) if fitting else max(_pool, key=len, default=None)
            if unfit is not None:  # one that is too small makes room for its successor
                _pool[:] = [buffer for buffer in _pool if buffer is not unfit]
        self._buffer = (
            unfit if fitting and unfit is not None else torch.empty(size * 9 // 64 * 8 + 8, dtype=torch.uint8)
        )
        self._numbers = self._buffer.view(dtype)

    def addresses(self, **starts: int) -> dict[str, int]:
        """Return where things lie that begin after so many numbers."""
        first, size = self._numbers.data_ptr(), self._numbers.itemsize
        return {name: first + start * size for name, start in starts.items()}

    def matrix(self, start: int, rows: int, columns: int, stride: int) -> Tensor:
        """Return rows of so many numbers, ``stride`` apart, as a tensor."""
        return self._numbers.as_strided((rows, columns), (stride, 1), start)

    def __del__(self) -> None:
        _pool.append(self._buffer)  # no lock: garbage may be collected while this very thread holds it


class Layout:
    """How things lie one after another in a workspace, each at the beginning of a cache line.

    Attributes:
        size: How many numbers they take up together.
    """

    def __init__(self) -> None:
        self.size = 0

    def place(self, *shape: int) -> int:
        """Return where a thing of that shape begins."""
        start, self.size = self.size, self.size + -(-math.prod(shape) // ALIGNMENT) * ALIGNMENT
        return start
