"""The long short-term memory, with or without peepholes.

    i = sigmoid(W_i x + U_i h + p_i * c + b_i)
    f = sigmoid(W_f x + U_f h + p_f * c + b_f)
    g = tanh(W_g x + U_g h + b_g)
    c' = f * c + i * g
    o = sigmoid(W_o x + U_o h + p_o * c' + b_o)
    h' = o * tanh(c')

The gates are packed i, f, g, o, as in ``torch.nn.LSTM``. Without peepholes p = 0.

References:
    Hochreiter and Schmidhuber 1997; Gers, Schraudolph and Schmidhuber 2002 (peepholes); the form is that
    of Graves 2013, arXiv:1308.0850, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer and return its step: W x + b, shape (B, 4H), and (h, c) -> (h', c')."""
    u, peepholes = weights.hidden.T, weights.peepholes

    def step(projected: Tensor, state: State) -> State:
        h, c = state
        i, f, g, o = torch.addmm(projected, h, u).chunk(4, dim=1)
        if peepholes is not None:
            i, f = i + peepholes[0] * c, f + peepholes[1] * c
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        if peepholes is not None:
            o = o + peepholes[2] * c
        return torch.sigmoid(o) * torch.tanh(c), c

    return step
