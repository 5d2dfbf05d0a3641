"""Stacked recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from musicrnn.errors import UsageError
from musicrnn.nn.settings import NetworkSettings, RecurrentSettings
from musicrnn.ops import State, Weights, cell_named, recurrence
from musicrnn.settings import flatten


class Dropout(nn.Module):
    """Dropout of outputs (Zaremba et al. 2014), with a mask for every frame or one for all of a sequence.

    Args:
        probability: That an output is dropped.
        variational: Whether a sequence has one mask for all its frames (Gal and Ghahramani 2016).
    """

    def __init__(self, probability: float, variational: bool = False) -> None:
        super().__init__()
        self.probability, self.variational = probability, variational

    def forward(self, outputs: Tensor) -> Tensor:
        """Map outputs (B, T, H) to outputs of that shape."""
        if not self.variational:
            return functional.dropout(outputs, self.probability, self.training)
        mask = outputs.new_ones(len(outputs), 1, outputs.shape[2])
        return outputs * functional.dropout(mask, self.probability, self.training)


class RecurrentLayer(nn.Module):
    """The parameters of one recurrent layer.

    Input weights start uniform in the range of Glorot and Bengio 2010, each gate's recurrent matrix
    orthogonal (Saxe et al. 2013), biases zero, but the lstm's forget bias one (Jozefowicz et al. 2015). The
    irnn starts as its paper has it: U the identity, W Gaussian of standard deviation 0.001 (Le et al. 2015).

    Args:
        settings: Those of the stack that the layer belongs to.
        input_size: Width of the input, D.
        weight_dropout: Probability that a recurrent weight is dropped in training, sampled once a pass
            (Merity et al. 2018).

    Raises:
        UsageError: An unknown cell, or an option of another cell.
    """

    def __init__(self, settings: RecurrentSettings, input_size: int, weight_dropout: float = 0.0) -> None:
        super().__init__()
        cell, hidden_size, context = settings.cell, settings.hidden, settings.context
        self.cell = cell_named(cell)
        self.weight_dropout = weight_dropout
        self.hidden_size = hidden_size
        if settings.peepholes and "peepholes" not in self.cell.optional:
            raise UsageError(f"peepholes need a cell with a memory (lstm), got {cell}")
        if "context" in self.cell.optional:
            context = max(1, hidden_size // 4) if context is None else context
            if not 1 <= context < hidden_size:
                raise UsageError(
                    f"context must be at least 1 and below hidden ({hidden_size}), got {context}"
                )
        elif context is not None:
            raise UsageError(f"context units are the scrn's, got {cell}")
        self.context = context or 0
        fast = hidden_size - self.context
        self.weight_ih = nn.Parameter(torch.empty(self.cell.gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(self.cell.gates * fast, hidden_size))
        self.bias = nn.Parameter(torch.empty((self.cell.biases or self.cell.gates) * fast))
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size)) if settings.peepholes else None
        alpha = settings.alpha
        logit = torch.full((self.context,), math.log(alpha / (1 - alpha)))
        self.alpha_logit = nn.Parameter(logit) if settings.learn_alpha and self.context else None
        self.register_buffer("alpha", torch.full((self.context,), alpha), persistent=False)
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Initialise the parameters at random."""
        size = self.hidden_size
        for gate in self.weight_ih.data.chunk(self.cell.gates):
            if self.cell.name == "irnn":
                nn.init.normal_(gate, std=0.001, generator=generator)
            else:
                nn.init.xavier_uniform_(gate, generator=generator)
        for gate in self.weight_hh.data.chunk(self.cell.gates):
            square, context = gate[:, : len(gate)], gate[:, len(gate) :]
            if self.cell.name == "irnn":
                nn.init.eye_(square)
            else:
                nn.init.orthogonal_(square, generator=generator)
            if context.numel():
                nn.init.xavier_uniform_(context, generator=generator)
        nn.init.zeros_(self.bias)
        if self.cell.name == "lstm":
            nn.init.ones_(self.bias.data[size : 2 * size])
        if self.peepholes is not None:
            nn.init.zeros_(self.peepholes)

    def forward(self, inputs: Tensor, state: State, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Map inputs (B, T, D) and a state to outputs (B, T, H) and the state after the last real frame."""
        return recurrence(self.cell, inputs, state, self.weights(), mask)

    def weights(self) -> Weights:
        """Return the parameters as the recurrences take them, in training with some of U dropped."""
        hidden: Tensor = self.weight_hh
        if self.weight_dropout and self.training:
            hidden = functional.dropout(hidden, self.weight_dropout)
        if not self.context:
            return Weights(self.weight_ih, hidden, self.bias, self.peepholes)
        alpha = self.get_buffer("alpha") if self.alpha_logit is None else torch.sigmoid(self.alpha_logit)
        bias = functional.pad(self.bias, (0, self.context))
        return Weights(self.weight_ih, hidden, bias, alpha=alpha)


class Recurrent(nn.Module):
    """A stack of recurrent layers.

    ``load_state_dict`` also takes the state of a ``torch.nn.RNN``, ``LSTM`` or ``GRU`` of the same kind and
    shape.

    Args:
        cell: ``tanh``, ``lstm``, ``gru`` (reset gate before the product), ``gru-reset-after`` (as
            ``torch.nn.GRU``), ``gru-simplified``, ``irnn`` or ``scrn``.
        input_size: Width of the input, D.
        hidden_size: Hidden units of each layer, H.
        layers: Number of layers, L.
        options: Other settings by name: ``peepholes``, ``context``, ``alpha``, ``learn_alpha``,
            ``connections``, ``layer_norm`` of ``RecurrentSettings``, and those of ``DropoutSettings``.

    Attributes:
        output_size: Width of the output: H, or L*H with skip connections.

    Raises:
        UsageError: An unknown cell, a size out of its range, or an option of another cell.
    """

    def __init__(self, cell: str, input_size: int, hidden_size: int, layers: int = 1, **options: Any) -> None:
        super().__init__()
        if input_size < 1:
            raise UsageError(f"input_size must be at least 1, got {input_size}")
        settings = NetworkSettings.of(cell=cell, hidden=hidden_size, layers=layers, **options)
        recurrent, regularisation = settings.recurrent, settings.regularisation
        is_skip = recurrent.connections == "skip"
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.connections = recurrent.connections
        self.output_size = hidden_size * (layers if is_skip else 1)
        later = hidden_size + (input_size if is_skip else 0)
        self.layers = nn.ModuleList(
            RecurrentLayer(recurrent, later if index else input_size, regularisation.weight_dropout)
            for index in range(layers)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(hidden_size if index < layers - 1 else self.output_size)
            for index in range(layers if recurrent.layer_norm else 0)
        )
        self.dropout = Dropout(regularisation.dropout, regularisation.variational_dropout)
        self.register_load_state_dict_pre_hook(_translate_from_torch)  # type: ignore[no-untyped-call]

    @classmethod
    def from_settings(cls, settings: NetworkSettings, input_size: int) -> Recurrent:
        """Return the layers of a network, for inputs of a width."""
        values = flatten(settings.recurrent) | flatten(settings.regularisation)
        return cls(values.pop("cell"), input_size, values.pop("hidden"), **values)

    @classmethod
    def from_torch(cls, layer: nn.RNN | nn.LSTM | nn.GRU) -> Recurrent:
        """Return a stack that computes what torch's does, with ``batch_first`` or not.

        Args:
            layer: One direction, no projection.

        Raises:
            UsageError: Two directions, or a projection.
        """
        kind = f"{layer.mode}".lower()
        cell = {"rnn_tanh": "tanh", "rnn_relu": "irnn", "lstm": "lstm", "gru": "gru-reset-after"}[kind]
        if layer.bidirectional or layer.proj_size:
            raise UsageError(f"a layer to load must have one direction and no projection, got {layer}")
        stack = cls(cell, layer.input_size, layer.hidden_size, layer.num_layers, dropout=layer.dropout)
        stack.to(layer.weight_ih_l0.dtype)  # type: ignore[arg-type]
        stack.load_state_dict(layer.state_dict())
        return stack

    def initial_state(self, batch: int) -> list[State]:
        """Return the zero state of every layer for a batch of B sequences."""
        first = next(self.parameters())
        zeros = first.new_zeros(batch, self.hidden_size)
        return [(zeros,) * layer.cell.states for layer in self.stack()]

    def forward(
        self, x: Tensor, state: Sequence[State] | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Run the stack over a batch of sequences.

        Args:
            x: Inputs, shape (B, T, D).
            state: State of every layer before the first frame, as returned earlier; None is zero.
            mask: True on real frames, shape (B, T); on others states stay as they are. None: all are real.

        Returns:
            Outputs, shape (B, T, output_size), and the states after the last real frames.

        Raises:
            ValueError: A shape doesn't fit.
        """
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(f"x must have shape (B, T, {self.input_size}), got {tuple(x.shape)}.")
        if mask is not None and mask.shape != x.shape[:2]:
            raise ValueError(f"mask must have shape {tuple(x.shape[:2])} (B, T), got {tuple(mask.shape)}.")
        state = self.initial_state(len(x)) if state is None else state
        self._check(state, len(x))
        outputs, following = list[Tensor](), list[State]()
        for index, (layer, before) in enumerate(zip(self.stack(), state, strict=True)):
            output, after = layer(self._inputs(index, x, outputs), before, mask)
            output = self.dropout(output)
            if outputs and self.connections == "residual":
                output = output + outputs[-1]
            outputs.append(output)
            following.append(after)
        last = torch.cat(outputs, 2) if self.connections == "skip" and len(outputs) > 1 else outputs[-1]
        return self._normed(len(outputs) - 1, last), following

    def _inputs(self, index: int, x: Tensor, outputs: list[Tensor]) -> Tensor:
        """Return the inputs of a layer: those of the stack, or the output of the layer before."""
        if not outputs:
            return x
        below = self._normed(index - 1, outputs[-1])
        return torch.cat([below, x], 2) if self.connections == "skip" else below

    def _normed(self, index: int, output: Tensor) -> Tensor:
        normed: Tensor = self.norms[index](output) if len(self.norms) else output
        return normed

    @property
    def is_chain(self) -> bool:
        """Whether each layer's only input is the output of the one before."""
        return not len(self.norms) and (self.connections == "plain" or len(self.layers) == 1)

    def stack(self) -> list[RecurrentLayer]:
        """Return the layers, the lowest first."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def _check(self, state: Sequence[State], batch: int) -> None:
        expected = (batch, self.hidden_size)
        if len(state) != len(self.layers):
            raise ValueError(f"state must have {len(self.layers)} layers, got {len(state)}.")
        for tensor in (tensor for layer in state for tensor in layer):
            if tensor.shape != expected:
                raise ValueError(
                    f"state must hold tensors of shape {expected} (B, H), got {tuple(tensor.shape)}."
                )


def _translate_from_torch(stack: nn.Module, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
    """Replace the tensors of torch's layers in a state dict by those of a stack of the same kind."""
    assert isinstance(stack, Recurrent)
    if f"{prefix}weight_ih_l0" not in state:
        return
    cell = stack.stack()[0].cell
    if cell.library is None and cell.name != "irnn":
        raise UsageError(f"torch has no {cell.name}; its GRU is gru-reset-after")
    for index, layer in enumerate(stack.stack()):
        ours = f"{prefix}layers.{index}."
        for name in ("weight_ih", "weight_hh"):
            state[ours + name] = state.pop(f"{prefix}{name}_l{index}")
        zeros = torch.zeros_like(state[ours + "weight_ih"][:, 0])
        beside_w, beside_u = (state.pop(f"{prefix}{name}_l{index}", zeros) for name in ("bias_ih", "bias_hh"))
        bias = beside_w + beside_u
        if cell.biases:  # the candidate's two are kept apart
            shared = 2 * layer.hidden_size
            bias = torch.cat([bias[:shared], beside_w[shared:], beside_u[shared:]])
        state[ours + "bias"] = bias
