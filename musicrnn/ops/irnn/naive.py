"""The recurrent network of rectified linear units: h' = max(0, W x + U h + b), U starting as the identity.

References:
    Le, Jaitly and Hinton 2015, arXiv:1504.00941.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer and return its time step: W x + b, shape (B, H), and (h,) -> (h',)."""
    u = weights.hidden.T

    def step(projected: Tensor, state: State) -> State:
        (h,) = state
        return (torch.relu(torch.addmm(projected, h, u)),)

    return step
