"""What a cell provides to become a fast kernel: its equations on vectors, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba

OPTIONS = {"error_model": "numpy", "_nrt": False}
"""Divide as numpy does; no reference counts, since nothing is allocated."""

shared_function = numba.njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Marks a function that is compiled once and called by the kernels of all cells."""

inlined = numba.njit(inline="always")
"""Marks a function that becomes part of each kernel that calls it.

numba inlines it before it infers types: compiling functions one by one takes twice as long.
"""


@dataclass(frozen=True, eq=False)
class Equations:
    """The pointwise part of a recurrent unit, for a vector of units of one sequence at one time step.

    A step begins with pre-activations, a tuple of one vector a block: W x + b in the blocks from
    ``first_input_block`` on, plus U h in the first ``recurrent_blocks``. Cells with a second product, of an
    operand computed from the first blocks (the gru's r * h), have ``open``.

    Attributes:
        name: Tells the kernels apart in the cache.
        blocks: Vectors a unit has per frame; after the step they hold what the derivatives need.
        recurrent_blocks: Number of blocks, from the first, that the product U h is added to.
        forward: ``(blocks, state, constants) -> (blocks, state)``: the step.
        backward: ``(blocks, state before, gradient of the state, constants) -> (gradients of the
            pre-activations, gradient of the state before, gradients of the first constants)``, without the
            products with U.
        states: Tensors in the state; the first is the output.
        first_input_block: Block from which on W x + b is added; blocks before it get their part of b alone.
        order: Which block of rows in U belongs to each recurrent block; empty is the order of the rows.
        constants: Vectors a unit has that don't change with time (peepholes).
        open: ``(blocks, state, constants) -> (blocks, operand)``: the part before the second product, which
            is added to the blocks that aren't recurrent.
        open_backward: ``(blocks, state before, gradients of the pre-activations, gradient of the operand,
            gradient of the state before, constants) -> (gradients of the pre-activations, gradient of the
            state before, gradients of the first constants)``.
    """

    name: str
    blocks: int
    recurrent_blocks: int
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    states: int = 1
    first_input_block: int = 0
    order: tuple[int, ...] = ()
    constants: int = 0
    open: Callable[..., Any] | None = None
    open_backward: Callable[..., Any] | None = None

    @property
    def input_blocks(self) -> int:
        """Number of blocks that W x is added to."""
        return self.blocks - self.first_input_block

    @property
    def rows_of_u(self) -> tuple[int, ...]:
        """Which block of rows in U each product takes."""
        products = self.recurrent_blocks if self.open is None else self.blocks
        return self.order or tuple(range(products))
