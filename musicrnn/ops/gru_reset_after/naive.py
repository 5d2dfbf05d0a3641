"""The gated recurrent unit with its reset gate after the product, as in cuDNN and ``torch.nn.GRU``.

    r = sigmoid(W_r x + U_r h + b_r)
    z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + b_n + r * (U_n h + b_u))
    h' = (1 - z) * n + z * h

The gates are packed r, z, n; the bias has a fourth block, b_u, which r gates. z keeps the old state, as in
torch, unlike the z of ``gru``.

References:
    Cho et al. 2014 in its first version, arXiv:1406.1078v1;
    https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer and return its time step: W x + b, shape (B, 3H), and (h,) -> (h',)."""
    u, size = weights.hidden.T, weights.hidden.shape[1]
    b_u = weights.bias[3 * size :]

    def step(projected: Tensor, state: State) -> State:
        (h,) = state
        w_r, w_z, w_n = projected.chunk(3, dim=1)
        u_r, u_z, u_n = (h @ u).chunk(3, dim=1)
        r, z = torch.sigmoid(w_r + u_r), torch.sigmoid(w_z + u_z)
        n = torch.tanh(w_n + r * (u_n + b_u))
        return (torch.lerp(n, h, z),)

    return step
