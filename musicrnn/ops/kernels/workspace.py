"""Memory that kernels reuse.

Fresh memory costs more than the computation in it: the system provides it page by page, each cleared at its
first use. So arrays that live from a forward to its backward pass, or shorter, lie in buffers that are
reused.
"""

from __future__ import annotations

import threading
from itertools import accumulate

import torch
from torch import Tensor

ALIGNMENT = 16
"""Numbers; at least a cache line, and the widest register."""

_free: list[Tensor] = []
_lock = threading.Lock()


Offsets = tuple[dict[str, int], int]
"""The first number of each array in a buffer, and how many numbers the buffer has."""


def arrange(sizes: dict[str, int]) -> Offsets:
    """Lay arrays of these sizes one after another, each from the start of a cache line."""
    *starts, total = accumulate((-(-size // ALIGNMENT) * ALIGNMENT for size in sizes.values()), initial=0)
    return dict(zip(sizes, starts, strict=True)), total


class Workspace:
    """A buffer for named arrays; it can be used again when the workspace is garbage."""

    def __init__(self, offsets: Offsets, dtype: torch.dtype) -> None:
        self._starts, size = offsets[0], offsets[1] * dtype.itemsize
        with _lock:
            fitting = [buffer for buffer in _free if len(buffer) >= size]
            taken = min(fitting, key=len) if fitting else max(_free, key=len, default=None)
            _free[:] = [buffer for buffer in _free if buffer is not taken]
        if not fitting or taken is None:  # one that is too small makes room for its successor
            taken = torch.empty(size * 9 // 64 * 8 + 8, dtype=torch.uint8)
        self._buffer = taken
        self._numbers = self._buffer.view(dtype)

    def addresses(self) -> dict[str, int]:
        """Return the addresses of the arrays by their names."""
        first, size = self._numbers.data_ptr(), self._numbers.itemsize
        return {name: first + start * size for name, start in self._starts.items()}

    def matrix(self, name: str, rows: int, columns: int, stride: int, first: int = 0) -> Tensor:
        """Return columns of an array as a tensor, from ``first`` on; rows are ``stride`` numbers apart."""
        return self._numbers.as_strided((rows, columns), (stride, 1), self._starts[name] + first)

    def __del__(self) -> None:
        _free.append(self._buffer)  # no lock: garbage may be collected while this very thread holds it
