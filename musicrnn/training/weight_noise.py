"""Weight noise: a small Gaussian perturbation of the recurrent weights, drawn once per batch.

References:
    Graves 2011, "Practical variational inference for neural networks"; Jim, Giles and Horne 1996. The
    fixed standard deviation of 0.075 on music is that of Chung et al. 2014, arXiv:1412.3555.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from musicrnn.nn import Recurrent


@contextmanager
def weight_noise(recurrent: Recurrent, deviation: float) -> Iterator[None]:
    """Add noise to the input and recurrent matrices of every layer, and take it away afterwards.

    Forward and backward belong inside the block, the optimizer's step behind it. The noise comes from
    torch's global random state; a deviation of zero draws nothing.

    Args:
        recurrent: The layers whose matrices W and U are disturbed; biases and peepholes are not.
        deviation: Standard deviation of the noise.
    """
    if deviation == 0:
        yield
        return
    matrices = [
        p for name, p in recurrent.named_parameters() if name.rpartition(".")[2].startswith("weight_")
    ]
    clean = [matrix.detach().clone() for matrix in matrices]
    with torch.no_grad():
        for matrix in matrices:
            matrix.add_(torch.randn_like(matrix), alpha=deviation)
    try:
        yield
    finally:
        with torch.no_grad():
            for matrix, values in zip(matrices, clean, strict=True):
                matrix.copy_(values)
