"""Choices between ways to compute and numbers of threads, by sizes, each with its measurement.

Sharing work among threads costs something, and where another program wants the other cores it costs much:
the threads wait for each other after every operation. On two cores, training on batches of JSB Chorales (gru,
46 units, 0.1 GFLOP a batch) gains nothing from a second thread on an idle machine and becomes several times
slower on a busy one; the bundled chorales (128 units, 2.5 GFLOP) take 0.6 times as long with two. Where
there is no kernel, the work of a single time step decides, and the loss is worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

WORTH_SHARING = 0.4e9
"""Floating-point operations of a training step, forward and backward, from which all threads are used."""

STEP_WORTH_SHARING = 16e6
"""The same for a single time step where a recurrence is computed step by step."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a training step; works of parts of a network are added.

    Attributes:
        operations: Forward and backward, of all frames.
        step_operations: Forward, of a single time step, where recurrences are computed step by step; zero
            where kernels compute them.
    """

    operations: float
    step_operations: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.operations + other.operations, self.step_operations + other.step_operations)


def product_work(rows: float, inputs: int, outputs: int) -> Work:
    """Return the work of a product of rows (rows, inputs) with a matrix (inputs, outputs)."""
    return Work(6.0 * rows * inputs * outputs)


@contextmanager
def fitting_threads(work: Work) -> Iterator[None]:
    """Let torch and kernels use one thread where there is too little work for more.

    The choice depends on the sizes alone, so results don't depend on what else the machine is doing.
    """
    worth, before = work.operations >= WORTH_SHARING, torch.get_num_threads()
    if work.step_operations:
        worth = work.step_operations >= STEP_WORTH_SHARING
    if not worth:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def slices(rows: int, least: int = 1) -> int:
    """Return the number of slices of a batch's rows: one a thread or at least a number, at most one a row."""
    return max(1, min(rows, max(torch.get_num_threads(), least)))


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
