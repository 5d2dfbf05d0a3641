"""What a cell has to say to become a fast kernel: its equations on vectors, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba

OPTIONS = {"error_model": "numpy", "_nrt": False}
"""Divide as numpy does; no reference counts, since nothing is allocated."""

on_its_own = numba.njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Marks a function that kernels call and share: it is compiled once, whatever the cell."""

on_vectors = numba.njit(inline="always")
"""Marks a function that kernels call.

It becomes part of the kernel before numba looks at types: compiling functions one by one takes twice as long.
"""


@dataclass(frozen=True, eq=False)
class Equations:
    """The pointwise part of a recurrent unit, for a vector of units of one sequence at one time step.

    A step begins with pre-activations, a tuple of one vector a block: W x + b where the block takes inputs,
    plus U h where it is driven by the state. Cells with a second product, of something made from the first
    blocks (the gru's r * h), say so by ``open``.

    Attributes:
        name: Tells the kernels apart in the cache.
        blocks: Vectors a unit has per frame; after the step they hold what the derivatives need.
        forward: ``(blocks, state, constants) -> (blocks, state)``: the step.
        backward: ``(blocks, state before, gradient of the state, constants) -> (gradients of the
            pre-activations, gradient of the state before, gradients of the first constants)``; products
            with U are added elsewhere.
        states: Tensors in the state; the first is the output.
        driven: How many of the blocks, from the first, the product U h is added to; None is all.
        heard: From which block on W x + b is added; blocks before it get their share of the bias alone.
        order: Which block of rows in U belongs to each driven block; None is the order of the rows.
        constants: Vectors a unit has that don't change with time (peepholes).
        open: ``(blocks, state, constants) -> (blocks, operand)``: what precedes the second product, which is
            added to the remaining blocks that hear.
        open_backward: ``(blocks, state before, gradients of the pre-activations, gradient of the operand,
            gradient of the state before, constants) -> (gradients of the pre-activations, gradient of the
            state before, gradients of the first constants)``.
    """

    name: str
    blocks: int
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    states: int = 1
    driven: int | None = None
    heard: int = 0
    order: tuple[int, ...] | None = None
    constants: int = 0
    open: Callable[..., Any] | None = None
    open_backward: Callable[..., Any] | None = None

    @property
    def driven_blocks(self) -> int:
        """Blocks that U h is added to before the equations."""
        return self.blocks if self.driven is None else self.driven

    @property
    def hearing(self) -> int:
        """Blocks that W x is added to."""
        return self.blocks - self.heard

    @property
    def products(self) -> int:
        """Blocks of rows in U."""
        return self.blocks if self.open is not None else self.driven_blocks

    @property
    def rows_of_u(self) -> tuple[int, ...]:
        """Which block of rows in U each product takes."""
        return tuple(range(self.products)) if self.order is None else self.order
