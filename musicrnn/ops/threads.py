"""How many threads a recurrence pays for.

A step of a small network is a handful of products too small to share: on two cores a second thread makes
a naive GRU of 128 units 8% faster at a batch of 32 where the machine is idle, and ten times slower where
another program wants the second core, because the two wait for each other at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from musicrnn.ops.cell import Cell
from musicrnn.ops.dispatch import fused

WORTH_SHARING = 16e6
"""Floating-point operations in a time step from which more than one thread is used."""


@contextmanager
def fitting_threads(cell: Cell, batch: int, hidden: int) -> Iterator[None]:
    """Let torch use one thread where a step by step recurrence is too small for more.

    The choice depends on the sizes alone, so results don't depend on what else the machine is doing.

    Args:
        cell: The recurrent unit; one with a kernel keeps all threads.
        batch: Sequences side by side, B.
        hidden: Hidden units, H.
    """
    small = 2.0 * batch * cell.gates * hidden * hidden < WORTH_SHARING
    before = torch.get_num_threads()
    if small and fused(cell) is None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
