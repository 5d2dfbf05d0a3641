"""How many threads a network pays for.

Sharing work costs something, and where another program wants the other cores it costs much: the threads
wait for each other after every operation. Measured on two cores, training on batches of JSB Chorales (gru,
46 units, 0.1 GFLOP a batch) gains nothing from a second thread on an idle machine and becomes several times
slower on a busy one; the bundled chorales (128 units, 2.5 GFLOP) take 0.6 times as long with two. Where
there is no kernel, what counts is the work of a single time step, and the loss is worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from musicrnn.ops.cell import Cell
from musicrnn.ops.dispatch import fused

WORTH_SHARING = 0.4e9
"""Floating-point operations of a training step, forward and backward, from which all threads are used."""

STEP_WORTH_SHARING = 16e6
"""The same for a single time step where a recurrence is computed step by step."""


@contextmanager
def fitting_threads(cell: Cell, batch: int, frames: float, width: int, hidden: int) -> Iterator[None]:
    """Let torch and kernels use one thread where there is too little work for more.

    The choice depends on the sizes alone, so results don't depend on what else the machine is doing.

    Args:
        cell: The recurrent unit.
        batch: Sequences side by side, B.
        frames: Their usual length, T.
        width: Width of the inputs, D.
        hidden: Hidden units, H.
    """
    rows = 2.0 * batch * cell.gates * hidden
    if fused(cell) is None:
        small = rows * hidden < STEP_WORTH_SHARING
    else:
        small = 3 * rows * frames * (width + hidden) < WORTH_SHARING
    before = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
