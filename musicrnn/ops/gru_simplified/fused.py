"""The equations of the gru without a reset gate and their derivatives, for kernels; see ``naive.py``."""

from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid, tanh
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def forward(blocks, state, constants):
    (z, n), (h,) = blocks, state
    z, n = sigmoid(z), tanh(n)
    return (z, n), (h + z * (n - h),)


@inlined
def backward(blocks, state, gradient, constants):
    (z, n), (h,), (d,) = blocks, state, gradient
    return (d * (n - h) * z * (1 - z), d * z * (1 - n * n)), (d * (1 - z),), ()


FUSED = Fused(Equations("gru-simplified", 2, 2, forward, backward))
