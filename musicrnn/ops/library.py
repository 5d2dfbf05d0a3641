"""The recurrences that torch's own libraries have: cuDNN's on a GPU, oneDNN's lstm on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Weights


def _biases(weights: Weights) -> list[Tensor]:
    """Return the two biases that torch has: the one beside W, and the one beside U, which is mostly zero."""
    rows = len(weights.hidden)
    beside_u = torch.zeros_like(weights.bias[:rows])
    if len(weights.bias) > rows:  # b_u of gru-reset-after
        beside_u = torch.cat([beside_u[: 2 * rows // 3], weights.bias[rows:]])
    return [weights.bias[:rows], beside_u]


def tanh(inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Run a tanh layer over inputs (B, T, D)."""
    return _single(torch.rnn_tanh, inputs, state, weights)


def gru_reset_after(inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Run a gru-reset-after layer over inputs (B, T, D)."""
    return _single(torch.gru, inputs, state, weights)


def lstm(inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Run an lstm layer without peepholes over inputs (B, T, D)."""
    parameters, training = [weights.input, weights.hidden, *_biases(weights)], torch.is_grad_enabled()
    start = [tensor[None].contiguous() for tensor in state]
    outputs, h, c = torch.lstm(inputs, start, parameters, True, 1, 0.0, training, False, True)
    return outputs, (h[0], c[0])


def _single(
    function: Callable[..., tuple[Tensor, Tensor]], inputs: Tensor, state: State, weights: Weights
) -> tuple[Tensor, State]:
    parameters, training = [weights.input, weights.hidden, *_biases(weights)], torch.is_grad_enabled()
    start = state[0][None].contiguous()
    outputs, last = function(inputs, start, parameters, True, 1, 0.0, training, False, True)
    return outputs, (last[0],)
