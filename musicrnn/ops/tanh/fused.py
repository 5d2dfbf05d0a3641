"""The equation of the tanh unit and its derivative, for kernels; see ``naive.py``."""

from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import tanh
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def forward(blocks, state, constants):
    h = tanh(blocks[0])
    return (h,), (h,)


@inlined
def backward(blocks, state, gradient, constants):
    (h,), (d,) = blocks, gradient
    return (d * (1 - h * h),), (d * 0,), ()


FUSED = Fused(Equations("tanh", 1, 1, forward, backward))
