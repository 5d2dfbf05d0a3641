"""The traditional recurrent unit (Elman 1990): h' = tanh(W x + U h + b)."""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Weights


def step(projected: Tensor, state: State, weights: Weights) -> State:
    """One time step.

    Args:
        projected: W x + b, shape (B, H).
        state: ``(h,)``, shape (B, H).
        weights: Only ``hidden`` is read.

    Returns:
        ``(h',)``.
    """
    (h,) = state
    return (torch.tanh(torch.addmm(projected, h, weights.hidden.T)),)
