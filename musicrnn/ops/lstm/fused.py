"""The equations of the long short-term memory and their derivatives, for kernels; see ``naive.py``."""

from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid, tanh
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def forward(blocks, state, constants):
    (i, f, g, o), (h, c) = blocks, state
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    return (i, f, g, o), (o * tanh(c), c)


@inlined
def backward(blocks, state, gradient, constants):
    (i, f, g, o), (h, c), (d, d_c) = blocks, state, gradient
    m = tanh(f * c + i * g)
    d_o = d * m * o * (1 - o)
    d_c = d_c + d * o * (1 - m * m)
    return (*of_gates(i, f, g, c, d_c), d_o), (d * 0, d_c * f), ()


@inlined
def forward_peepholes(blocks, state, constants):
    (i, f, g, o), (h, c), (p_i, p_f, p_o) = blocks, state, constants
    i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
    c = f * c + i * g
    o = sigmoid(o + p_o * c)
    return (i, f, g, o), (o * tanh(c), c)


@inlined
def backward_peepholes(blocks, state, gradient, constants):
    (i, f, g, o), (h, c), (d, d_c), (p_i, p_f, p_o) = blocks, state, gradient, constants
    following = f * c + i * g
    m = tanh(following)
    d_o = d * m * o * (1 - o)
    d_c = d_c + d * o * (1 - m * m) + p_o * d_o
    d_i, d_f, d_g = of_gates(i, f, g, c, d_c)
    before = d_c * f + p_i * d_i + p_f * d_f
    return (d_i, d_f, d_g, d_o), (d * 0, before), (d_i * c, d_f * c, d_o * following)


@inlined
def of_gates(i, f, g, c, d_c):
    """Return the gradients that reach i, f and g through c' = f c + i g."""
    return d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g * g)


FUSED = Fused(
    Equations("lstm", 4, 4, forward, backward, states=2),
    peepholes=Equations("lstm-peepholes", 4, 4, forward_peepholes, backward_peepholes, states=2, constants=3),
)
