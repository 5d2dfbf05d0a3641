"""What a recurrent cell is to the rest of the program: a name, its sizes, and one time step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

State = tuple[Tensor, ...]
"""What a cell carries from frame to frame: ``(h,)`` or ``(h, c)``, each of shape (B, H)."""


class Weights(NamedTuple):
    """Parameters of one recurrent layer; G blocks of H rows, one a gate, in torch's order.

    Attributes:
        input: W, shape (G*H, D).
        hidden: U, shape (G*H, H).
        bias: b, shape (G*H,).
        peepholes: Diagonals from the memory cell to the gates i, f, o, shape (3, H); lstm only.
        alpha: How much of the context units stays from frame to frame, shape (C,); scrn only.
    """

    input: Tensor
    hidden: Tensor
    bias: Tensor
    peepholes: Tensor | None = None
    alpha: Tensor | None = None


Step = Callable[[Tensor, State], State]
"""One time step: projected input ``W x + b`` (B, G*H), state before -> state after."""

Library = Callable[[Tensor, State, Weights], tuple[Tensor, State]]
"""A whole sequence by a library: inputs (B, T, D), first state, weights -> outputs (B, T, H), last state."""


class Streams(Protocol):
    """Pieces in the making, drawn frame by frame from one network."""

    def draw(self, uniforms: Tensor, rolls: Tensor, temperature: float = 1.0, threshold: float = 0.0) -> None:
        """Draw the next frames of every stream.

        Args:
            uniforms: Random numbers in [0, 1), shape (B, N, pitches).
            rolls: Where the N frames go: bytes, shape (B, N, D).
            temperature: Divides the log-odds.
            threshold: If above zero nothing is drawn: a cell sounds where its probability reaches it.
        """


@dataclass(frozen=True)
class Cell:
    """A recurrent unit.

    Attributes:
        name: What ``--cell`` calls it; its files are in the folder of that name.
        gates: Blocks of H rows in its weights, G.
        naive: The reference: binds the weights and returns its equations, one time step at a time.
        states: Tensors in its state.
        biases: Blocks of H numbers in its bias, if not G.
        library: The same function in cuDNN and oneDNN, without peepholes and mask.
        optional: What else it may have, of ``peepholes`` and ``context``.
    """

    name: str
    gates: int
    naive: Callable[[Weights], Step]
    states: int = 1
    biases: int | None = None
    library: Library | None = None
    optional: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the package with its equations."""
        return self.name.replace("-", "_")
