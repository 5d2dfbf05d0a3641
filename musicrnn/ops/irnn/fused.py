"""The equation of rectified linear units and its derivative, for kernels; see ``naive.py``."""

from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import relu, step
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def forward(blocks, state, constants):
    h = relu(blocks[0])
    return (h,), (h,)


@inlined
def backward(blocks, state, gradient, constants):
    return (gradient[0] * step(blocks[0]),), (gradient[0] * 0,), ()


FUSED = Fused(Equations("irnn", 1, 1, forward, backward))
