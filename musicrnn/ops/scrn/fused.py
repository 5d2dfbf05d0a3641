"""The equations of the structurally constrained network and their derivatives; see ``naive.py``.

The context doesn't depend on the fast units. So it is a recurrence of its own, without a product, and the
fast units hear it as they hear the inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Weights
from musicrnn.ops.kernels.equations import Equations, on_vectors
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.recurrence import fuse


@on_vectors
def context(blocks, state, constants):
    (x,), (s,), (a,) = blocks, state, constants
    return (x,), (x + a * (s - x),)


@on_vectors
def context_backward(blocks, state, gradient, constants):
    (x,), (s,), (d,), (a,) = blocks, state, gradient, constants
    return (d * (1 - a),), (d * a,), (d * (s - x),)


@on_vectors
def fast(blocks, state, constants):
    h = sigmoid(blocks[0])
    return (h,), (h,)


@on_vectors
def fast_backward(blocks, state, gradient, constants):
    (h,), (d,) = blocks, gradient
    return (d * h * (1 - h),), (d * 0,), ()


CONTEXT = Equations("scrn-context", 1, context, context_backward, driven=0, constants=1)
FAST = Equations("scrn-fast", 1, fast, fast_backward)
_context, _fast = fuse(CONTEXT), fuse(FAST)


def sequence(inputs: Tensor, state: State, weights: Weights, mask: Tensor | None) -> tuple[Tensor, State]:
    """Run the layer over a batch of sequences."""
    size = len(weights.hidden)
    slow_in, fast_in = (
        weights.input[size:],
        torch.cat([weights.input[:size], weights.hidden[:, size:]], dim=1),
    )
    nothing = weights.bias.new_empty(0, len(slow_in))
    slow = Weights(slow_in, nothing, weights.bias[size:], alpha=weights.alpha)
    s, (last_s,) = _context(inputs, (state[0][:, size:],), slow, mask)
    quick = Weights(fast_in, weights.hidden[:, :size], weights.bias[:size])
    h, (last_h,) = _fast(torch.cat([inputs, s], dim=2), (state[0][:, :size],), quick, mask)
    return torch.cat([h, s], dim=2), (torch.cat([last_h, last_s], dim=1),)
