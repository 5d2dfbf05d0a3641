"""The equations of the structurally constrained network and their derivatives; see ``naive.py``.

The context doesn't depend on the fast units. So it is a recurrence of its own, without a product, and the
fast units hear it as they hear the inputs.
"""

from __future__ import annotations

from musicrnn.ops.kernels.equations import Equations, on_vectors
from musicrnn.ops.kernels.functions import sigmoid
from musicrnn.ops.kernels.recurrence import Fused


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


FUSED = Fused(
    Equations("scrn-fast", 1, fast, fast_backward),
    context=Equations("scrn-context", 1, context, context_backward, driven=0, constants=1),
)
