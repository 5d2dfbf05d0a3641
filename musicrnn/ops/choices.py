"""Which of several ways to compute is taken, by size; each choice with the measurement behind it."""

from __future__ import annotations

import torch
from torch import Tensor


def slices(batch: int) -> int:
    """Return into how many slices the rows of a batch are shared out: one a thread, if there are rows."""
    return max(1, min(torch.get_num_threads(), batch))


def sparse(inputs: Tensor) -> bool:
    """Return whether inputs (B, T, D) have so few numbers other than zero that W x is summed by columns.

    A column costs what six rows of a dense product cost: it is loaded from the cache, and in the backward
    pass stored again, for a single addition. Piano rolls have about 4 ones of 88, 8 of 176, with input noise
    12. Measured on gru, D = 88, forward and backward: with 4 ones 0.85 of the dense time at 46 units and 0.8
    at 200, B = 128.
    """
    return int(torch.count_nonzero(inputs)) * 6 <= inputs.numel()


def library_wins(cell: str, batch: int, hidden: int) -> bool:
    """Return whether oneDNN's lstm is faster than ours in float32.

    A single sequence is one thread's work here, and its matrix is read anew at every step; from about 300
    units it no longer fits in a core's cache, and oneDNN, which shares it out among the threads, takes half
    the time (400 units: 35 against 65 ms). With two sequences or more both read it, and ours wins again.
    """
    return cell == "lstm" and batch == 1 and hidden >= 300


def stream_slices(streams: int) -> int:
    """Return into how many slices streams that are generated together are cut.

    A slice goes through all frames before the next one starts: 64 streams of a small network fit in a core's
    cache with all they need.
    """
    return max(1, min(streams, max(torch.get_num_threads(), -(-streams // 64))))
