"""How many threads a network uses, by the work of a training step.

Sharing work costs something, and where another program wants the other cores it costs much: the threads
wait for each other after every operation. Measured on two cores, training on batches of JSB Chorales (gru,
46 units, 0.1 GFLOP a batch) gains nothing from a second thread on an idle machine and becomes several times
slower on a busy one; the bundled chorales (128 units, 2.5 GFLOP) take 0.6 times as long with two. Where
there is no kernel, the work of a single time step decides, and the loss is worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from musicrnn.ops.cell import Cell
from musicrnn.ops.dispatch import fused

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


def recurrence_work(cell: Cell, rows: int, frames: float, input_size: int, hidden: int) -> Work:
    """Return the work of a recurrence over sequences of T frames, D inputs and H units: its products."""
    step = 2.0 * rows * cell.gates * hidden
    return Work(3 * step * frames * (input_size + hidden), 0.0 if fused(cell) else step * hidden)


@contextmanager
def fitting_threads(work: Work) -> Iterator[None]:
    """Let torch and kernels use one thread where there is too little work for more.

    The choice depends on the sizes alone, so results don't depend on what else the machine is doing.
    """
    if work.step_operations:
        small = work.step_operations < STEP_WORTH_SHARING
    else:
        small = work.operations < WORTH_SHARING
    before = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
