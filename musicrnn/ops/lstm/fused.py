"""The LSTM without peepholes over a whole sequence by torch's own kernel, that of ``torch.nn.LSTM``."""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Weights


def sequence(inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Return outputs, shape (B, T, H), and the last state, for inputs of shape (B, T, D)."""
    parameters = [weights.input, weights.hidden, weights.bias, torch.zeros_like(weights.bias)]
    start = [tensor[None].contiguous() for tensor in state]
    training = torch.is_grad_enabled()
    outputs, h, c = torch.lstm(inputs, start, parameters, True, 1, 0.0, training, False, True)
    return outputs, (h[0], c[0])
