"""The recurrences that torch's own libraries have: cuDNN's on a GPU, oneDNN's lstm on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from musicrnn.ops.cell import Library, State, Weights


def _layer(function: Any) -> Library:
    """Return one of torch's functions as a layer over inputs (B, T, D), without peepholes."""

    def run(inputs: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
        rows, training = len(weights.hidden), torch.is_grad_enabled()
        bias, recurrent_bias = weights.bias[:rows], torch.zeros_like(weights.bias[:rows])
        if len(weights.bias) > rows:  # b_u of gru-reset-after
            recurrent_bias = torch.cat([recurrent_bias[: 2 * rows // 3], weights.bias[rows:]])
        parameters = [weights.input, weights.hidden, bias, recurrent_bias]
        start = [tensor[None].contiguous() for tensor in state]
        first = start if len(start) > 1 else start[0]
        outputs, *last = function(inputs, first, parameters, True, 1, 0.0, training, False, True)
        return outputs, tuple(tensor[0] for tensor in last)

    return run


tanh = _layer(torch.rnn_tanh)
gru_reset_after = _layer(torch.gru)
lstm = _layer(torch.lstm)
