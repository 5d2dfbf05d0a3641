"""The equations of the gated recurrent unit and their derivatives, for kernels; see ``naive.py``."""

from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid, tanh
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def gates(blocks, state, constants):
    (r, z, n), (h,) = blocks, state
    r = sigmoid(r)
    return (r, sigmoid(z), n), r * h


@inlined
def forward(blocks, state, constants):
    (r, z, n), (h,) = blocks, state
    n = tanh(n)
    return (r, z, n), (h + z * (n - h),)


@inlined
def backward(blocks, state, gradient, constants):
    (r, z, n), (h,), (d,) = blocks, state, gradient
    return (r, d * (n - h) * z * (1 - z), d * z * (1 - n * n)), (d * (1 - z),), ()


@inlined
def gates_backward(blocks, state, gradients, operand, gradient, constants):
    (r, z, n), (h,), (d,) = blocks, state, gradient
    return (operand * h * r * (1 - r), gradients[1], gradients[2]), (d + operand * r,), ()


FUSED = Fused(Equations("gru", 3, 2, forward, backward, open=gates, open_backward=gates_backward))
