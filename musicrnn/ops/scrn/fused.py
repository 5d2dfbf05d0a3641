"""The equations of the structurally constrained network and their derivatives; see ``naive.py``.

All units go through one recurrence. R and P multiply (h, s'), so the context is updated before the product,
which doesn't reach it. Two constants distinguish the kinds of units: ``a`` is 1 for fast units, whose state
``context`` leaves unchanged, and ``slow`` is 1 for context units.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from musicrnn.ops.cell import Weights
from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def context(blocks, state, constants):
    (x,), (y,), (a, _) = blocks, state, constants
    return (x,), (1 - a) * x + a * y


@inlined
def forward(blocks, state, constants):
    (x,), (y,), (a, slow) = blocks, state, constants
    h = sigmoid(x)
    return (slow * x + (1 - slow) * h,), (slow * ((1 - a) * x + a * y) + (1 - slow) * h,)


@inlined
def backward(blocks, state, gradient, constants):
    (h,), (d,), (_, slow) = blocks, gradient, constants
    return ((1 - slow) * d * h * (1 - h),), (slow * d,), ()


@inlined
def context_backward(blocks, state, gradients, operand, gradient, constants):
    (x,), (y,), (g,), (d,), (a, slow) = blocks, state, gradients, gradient, constants
    d = d + operand
    return (g + (1 - a) * d,), (a * d,), (slow * d * (y - x),)


def constants(weights: Weights) -> Tensor:
    """Return both constants of all units, shape (2, H)."""
    fast, a = len(weights.hidden), weights.alpha
    assert a is not None
    return torch.stack([pad(a, (fast, 0), value=1.0), pad(torch.ones_like(a), (fast, 0))])


FUSED = Fused(
    Equations("scrn", 1, 0, forward, backward, constants=2, open=context, open_backward=context_backward),
    constants=constants,
)
