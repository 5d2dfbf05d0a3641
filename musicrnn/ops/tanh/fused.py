"""The tanh recurrence over a whole sequence by torch's own kernel, the one behind ``torch.nn.RNN``."""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Weights


def sequence(inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Return outputs, shape (B, T, H), and the last state, for inputs of shape (B, T, D)."""
    parameters = [weights.input, weights.hidden, weights.bias, torch.zeros_like(weights.bias)]
    training = torch.is_grad_enabled()
    outputs, h = torch.rnn_tanh(inputs, state[0][None], parameters, True, 1, 0.0, training, False, True)
    return outputs, (h[0],)
