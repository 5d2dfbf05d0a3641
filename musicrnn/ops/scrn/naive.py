"""The structurally constrained recurrent network: slow context units beside fast hidden ones.

    s' = (1 - a) * B x + a * s
    h' = sigmoid(A x + P s' + R h + b)

Of H units the last C are context; the output is (h', s'), so that what follows the layer sees both, as the
paper's U and V do. W holds A above B, U holds R beside P: it has H columns and H - C rows. The paper
has no bias b.

References:
    Mikolov et al. 2014, arXiv:1412.7753, section 3, with a fixed at 0.95 or learned, unit by unit, as the
    sigmoid of a parameter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, StepFunction, Weights


def bind(weights: Weights) -> StepFunction:
    """Bind the weights of a layer; return its step: (A x + b, B x), shape (B, H), and (y,) -> (y',)."""
    u, a = weights.hidden.T, weights.alpha
    assert a is not None
    fast = len(weights.hidden)

    def step(projected: Tensor, state: State) -> State:
        h, s = state[0][:, :fast], state[0][:, fast:]
        s = (1 - a) * projected[:, fast:] + a * s
        h = torch.sigmoid(torch.addmm(projected[:, :fast], torch.cat([h, s], dim=1), u))
        return (torch.cat([h, s], dim=1),)

    return step
