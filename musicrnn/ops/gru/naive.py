"""The gated recurrent unit with its reset gate before the product.

    r = sigmoid(W_r x + U_r h + b_r)
    z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + U_n (r * h) + b_n)
    h' = (1 - z) * h + z * n

The gates are packed r, z, n, the order of ``torch.nn.GRU``. That layer computes another function: it
applies r after the product U_n h, and its z keeps the old state.

References:
    Cho et al. 2014 in its third version, arXiv:1406.1078v3; Chung et al. 2014, arXiv:1412.3555, section 3.2.
    Keras has it as ``reset_after=False``, ONNX's GRU as ``linear_before_reset=0``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer and return its time step: W x + b, shape (B, 3H), and (h,) -> (h',)."""
    size = weights.hidden.shape[1]
    u_gates, u_n = torch.split(weights.hidden.T, [2 * size, size], dim=1)

    def step(projected: Tensor, state: State) -> State:
        (h,) = state
        gates, candidate = torch.split(projected, [2 * size, size], dim=1)
        r, z = torch.sigmoid(torch.addmm(gates, h, u_gates)).chunk(2, dim=1)
        n = torch.tanh(torch.addmm(candidate, r * h, u_n))
        return (torch.lerp(h, n, z),)

    return step
