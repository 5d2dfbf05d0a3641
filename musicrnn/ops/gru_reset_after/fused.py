"""The equations of the gru with its reset gate after the product, for kernels; see ``naive.py``.

The block q holds U_n h + b_u, which gets no input; so it comes first, and U's rows for n with it.
"""

from musicrnn.ops.kernels.equations import Equations, inlined
from musicrnn.ops.kernels.functions import sigmoid, tanh
from musicrnn.ops.kernels.recurrence import Fused


@inlined
def forward(blocks, state, constants):
    (q, r, z, n), (h,) = blocks, state
    r, z = sigmoid(r), sigmoid(z)
    n = tanh(n + r * q)
    return (q, r, z, n), (n + z * (h - n),)


@inlined
def backward(blocks, state, gradient, constants):
    (q, r, z, n), (h,), (d,) = blocks, state, gradient
    d_n = d * (1 - z) * (1 - n * n)
    return (d_n * r, d_n * q * r * (1 - r), d * (h - n) * z * (1 - z), d_n), (d * z,), ()


FUSED = Fused(Equations("gru-reset-after", 4, 3, forward, backward, first_input_block=1, order=(2, 0, 1)))
