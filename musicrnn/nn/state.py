"""What a network carries from frame to frame, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from musicrnn.ops import State


@dataclass(frozen=True)
class NetworkState:
    """The state of B pieces after a frame; the first dimension of every tensor is the piece.

    Attributes:
        layers: State of every recurrent layer, tensors of shape (B, H).
        attention: Keys, shape (B, S, K*E), and input frames, shape (B, S, D), of the S steps so far; empty
            without attention.
        pitches: State of the pitch recurrence, tensors of shape (B, P, U); empty without one.
        position: Number of input frames so far, shape (B, 1); empty without position features.
    """

    layers: tuple[State, ...]
    attention: State = ()
    pitches: State = ()
    position: State = ()

    def detach(self) -> NetworkState:
        """Return the state cut off from the graph that computed it."""
        return self._map(Tensor.detach)

    def rows(self, rows: slice | Tensor) -> NetworkState:
        """Return the state of some pieces; an index may occur several times."""
        return self._map(lambda tensor: tensor[rows])

    def repeat(self, count: int) -> NetworkState:
        """Return the state of ``count`` copies of each piece, with copies next to each other."""
        return self._map(lambda tensor: tensor.repeat_interleave(count, 0))

    def to(self, device: torch.device | str) -> NetworkState:
        """Return the state on a device."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> NetworkState:
        def mapped(state: State) -> State:
            return tuple(map(function, state))

        return replace(
            self,
            layers=tuple(map(mapped, self.layers)),
            attention=mapped(self.attention),
            pitches=mapped(self.pitches),
            position=mapped(self.position),
        )
