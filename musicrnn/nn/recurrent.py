"""Stacked recurrent layers."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from musicrnn.errors import UsageError
from musicrnn.ops import State, Weights, cell_named, recurrence


class RecurrentLayer(nn.Module):
    """The parameters of one recurrent layer.

    The input weights start uniform in the range of Glorot and Bengio 2010, each gate's recurrent matrix
    orthogonal (Saxe et al. 2013), the biases zero, but the LSTM's forget bias one (Jozefowicz et al. 2015).

    Args:
        cell: Name of the cell.
        input_size: Width of the input, D.
        hidden_size: Hidden units, H.
        peepholes: Diagonal connections from the memory cell to the gates; LSTM only.
    """

    def __init__(self, cell: str, input_size: int, hidden_size: int, peepholes: bool = False) -> None:
        super().__init__()
        self.cell = cell_named(cell)
        self.hidden_size = hidden_size
        rows = self.cell.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias = nn.Parameter(torch.empty(rows))
        if peepholes and not self.cell.peepholes:
            raise UsageError(f"peepholes need a cell with a memory (lstm), got {cell}")
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size)) if peepholes else None
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw fresh parameters."""
        for gate in self.weight_ih.data.chunk(self.cell.gates):
            nn.init.xavier_uniform_(gate, generator=generator)
        for gate in self.weight_hh.data.chunk(self.cell.gates):
            nn.init.orthogonal_(gate, generator=generator)
        nn.init.zeros_(self.bias)
        if self.cell.name == "lstm":
            nn.init.ones_(self.bias.data[self.hidden_size : 2 * self.hidden_size])
        if self.peepholes is not None:
            nn.init.zeros_(self.peepholes)

    def forward(self, inputs: Tensor, state: State, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Map inputs (B, T, D) and a state to outputs (B, T, H) and the state after the last real frame."""
        weights = Weights(self.weight_ih, self.weight_hh, self.bias, self.peepholes)
        return recurrence(self.cell, inputs, state, weights, mask)


class Recurrent(nn.Module):
    """A stack of recurrent layers with dropout on every layer's output (Zaremba et al. 2014).

    Args:
        cell: ``tanh``, ``lstm`` or ``gru`` (reset gate before the product).
        input_size: Width of the input, D.
        hidden_size: Hidden units of each layer, H.
        layers: Number of layers.
        dropout: Probability that an output of a layer is set to zero in training.
        peepholes: Peephole connections; LSTM only.

    Raises:
        UsageError: An unknown cell, a size below one, or peepholes in a cell that has no memory.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        layers: int = 1,
        dropout: float = 0.0,
        peepholes: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("layers", layers)):
            if value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, input_size if i == 0 else hidden_size, hidden_size, peepholes)
            for i in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def initial_state(self, batch: int) -> list[State]:
        """Return the zero state of every layer for a batch of B sequences."""
        first = next(self.parameters())
        zeros = first.new_zeros(batch, self.hidden_size)
        return [(zeros,) * layer.cell.states for layer in self._stack()]

    def forward(
        self, x: Tensor, state: list[State] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Run the stack over a batch of sequences.

        Args:
            x: Inputs, shape (B, T, D).
            state: State of every layer before the first frame, as returned earlier; None is zero.
            mask: True on real frames, shape (B, T); on others states stay as they are. None: all are real.

        Returns:
            Outputs of the last layer, shape (B, T, H), and the states after the last real frames.

        Raises:
            ValueError: A shape doesn't fit.
        """
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(f"x must have shape (B, T, {self.input_size}), got {tuple(x.shape)}.")
        if mask is not None and mask.shape != x.shape[:2]:
            raise ValueError(f"mask must have shape {tuple(x.shape[:2])} (B, T), got {tuple(mask.shape)}.")
        state = self.initial_state(len(x)) if state is None else state
        self._check(state, len(x))
        following = []
        for layer, before in zip(self._stack(), state, strict=True):
            x, after = layer(x, before, mask)
            x = self.dropout(x)
            following.append(after)
        return x, following

    def _stack(self) -> list[RecurrentLayer]:
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def _check(self, state: list[State], batch: int) -> None:
        expected = (batch, self.hidden_size)
        if len(state) != len(self.layers):
            raise ValueError(f"state must have {len(self.layers)} layers, got {len(state)}.")
        for tensor in (tensor for layer in state for tensor in layer):
            if tensor.shape != expected:
                raise ValueError(
                    f"state must hold tensors of shape {expected} (B, H), got {tuple(tensor.shape)}."
                )
