"""What a recurrent cell is to the rest of the program: a name, its sizes, and one time step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

State = tuple[Tensor, ...]
"""What a cell carries from frame to frame: ``(h,)`` or ``(h, c)``, each of shape (B, H)."""


class Weights(NamedTuple):
    """Parameters of one recurrent layer; G blocks of H rows, one a gate, in torch's order.

    Attributes:
        input: W, shape (G*H, D).
        hidden: U, shape (G*H, H).
        bias: b, shape (G*H,).
        peepholes: Diagonals from the memory cell to the gates i, f, o, shape (3, H); LSTM only.
    """

    input: Tensor
    hidden: Tensor
    bias: Tensor
    peepholes: Tensor | None = None


Step = Callable[[Tensor, State], State]
"""One time step: projected input ``W x + b`` (B, G*H), state before -> state after."""

Kernel = Callable[[Tensor, State, Weights], tuple[Tensor, State]]
"""A whole sequence at once: inputs (B, T, D), first state, weights -> outputs (B, T, H), last state."""


@dataclass(frozen=True)
class Cell:
    """A recurrent unit.

    Attributes:
        name: What ``--cell`` calls it.
        gates: Blocks of H rows in its weights, G.
        states: Tensors in its state.
        naive: The reference: binds the weights and returns its equations, one time step at a time.
        fused: A fast kernel for the same function, if there is one.
        peepholes: Whether it may have peephole connections.
    """

    name: str
    gates: int
    states: int
    naive: Callable[[Weights], Step]
    fused: Kernel | None = None
    peepholes: bool = False
