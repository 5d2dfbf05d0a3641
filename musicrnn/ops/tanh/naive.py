"""The traditional recurrent unit (Elman 1990): h' = tanh(W x + U h + b)."""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer and return its time step: W x + b, shape (B, H), and (h,) -> (h',)."""
    u = weights.hidden.T

    def step(projected: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(torch.addmm(projected, h, u)),)

    return step
