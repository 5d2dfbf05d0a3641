"""Independent sigmoids: the negative log-likelihood of binary frames from log-odds, in torch's operations.

    -log p(y) = sum over cells of softplus(x) - y x

References:
    Chung et al. 2014, arXiv:1412.3555, section 4.1.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def nll(logits: Tensor, frames: Tensor) -> Tensor:
    """Return nats, shape (...), from log-odds and frames of shape (..., D)."""
    return functional.binary_cross_entropy_with_logits(logits, frames, reduction="none").sum(-1)
