"""The gated recurrent unit without a reset gate.

    z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + U_n h + b_n)
    h' = (1 - z) * h + z * n

The gates are packed z, n.

References:
    The gru of Chung et al. 2014, arXiv:1412.3555, with r = 1; close to the minimal gated unit of Zhou et al.
    2016, arXiv:1603.09420, which keeps r = z.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer and return its time step: W x + b, shape (B, 2H), and (h,) -> (h',)."""
    u = weights.hidden.T

    def step(projected: Tensor, state: State) -> State:
        (h,) = state
        z, n = torch.addmm(projected, h, u).chunk(2, dim=1)
        return (torch.lerp(h, torch.tanh(n), torch.sigmoid(z)),)

    return step
