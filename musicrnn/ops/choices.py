"""Choices between ways to compute, by size, each with its measurement."""

from __future__ import annotations

import torch
from torch import Tensor


def slices(batch: int) -> int:
    """Return the number of slices of a batch's rows: one a thread, but no more than rows."""
    return max(1, min(torch.get_num_threads(), batch))


def sparse(inputs: Tensor) -> bool:
    """Return whether inputs (B, T, D) are sparse enough to compute W x as a sum of columns.

    A column costs what six rows of a dense product cost: it is loaded from the cache, and in the backward
    pass stored again, for a single addition. Piano rolls have about 4 ones of 88, 8 of 176, with input noise
    12. Measured on gru, D = 88, forward and backward: with 4 ones 0.85 of the dense time at 46 units and 0.8
    at 200, B = 128.
    """
    return int(torch.count_nonzero(inputs)) * 6 <= inputs.numel()


def library_wins(cell: str, batch: int, hidden: int) -> bool:
    """Return whether oneDNN's lstm is faster than ours in float32.

    Each thread reads the recurrent matrix again at every step; from about 300 units it no longer fits in a
    core's cache, and few sequences make little use of each read. oneDNN divides the matrix among the
    threads, and takes 0.5 to 0.75 of the time for up to 4 sequences (400 units, 2 sequences:
    43 against 69 ms). With 200 units ours takes 0.75, with 8 sequences of 400 units 0.95 of oneDNN's time.
    """
    return cell == "lstm" and batch <= 4 and hidden >= 300


def generator_slices(pieces: int) -> int:
    """Return the number of slices of pieces that are generated together.

    A slice goes through all frames before the next one starts: 64 pieces of a small network fit in a core's
    cache with all their arrays.
    """
    return max(1, min(pieces, max(torch.get_num_threads(), -(-pieces // 64))))
