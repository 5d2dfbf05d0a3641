"""A recurrent cell for the rest of the program: its name, its sizes, and one time step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

State = tuple[Tensor, ...]
"""State of a cell between frames: ``(h,)`` or ``(h, c)``, each of shape (B, H)."""


class Weights(NamedTuple):
    """Parameters of one recurrent layer; G blocks of H rows, one a gate, in torch's order.

    Attributes:
        input: W, shape (G*H, D).
        hidden: U, shape (G*H, H); scrn has a single block with rows for its H - C fast units alone.
        bias: b, shape (G*H,).
        peepholes: Diagonals from the memory cell to the gates i, f, o, shape (3, H); lstm only.
        alpha: Fraction that each context unit keeps from frame to frame, shape (C,); scrn only.
    """

    input: Tensor
    hidden: Tensor
    bias: Tensor
    peepholes: Tensor | None = None
    alpha: Tensor | None = None


StepFunction = Callable[[Tensor, State], State]
"""One time step: projected input ``W x + b`` (B, G*H), state before -> state after."""

Library = Callable[[Tensor, State, Weights], tuple[Tensor, State]]
"""A whole sequence by a library: inputs (B, T, D), first state, weights -> outputs (B, T, H), last state."""


@dataclass(frozen=True)
class Cell:
    """A recurrent unit.

    Attributes:
        name: Its name in ``--cell``; the folder with its files has underscores instead of hyphens.
        gates: Blocks of H rows in its weights, G.
        naive: The reference: takes the weights and returns its equations for one time step.
        states: Tensors in its state.
        biases: Blocks of H numbers in its bias; None is G.
        library: The same function in cuDNN and oneDNN, without peepholes and mask.
        optional: Which of ``peepholes`` and ``context`` it may have.
    """

    name: str
    gates: int
    naive: Callable[[Weights], StepFunction]
    states: int = 1
    biases: int | None = None
    library: Library | None = None
    optional: tuple[str, ...] = ()
