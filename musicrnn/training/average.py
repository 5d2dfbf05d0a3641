"""Averages of the weights over updates, which generalise better than the last weights.

References:
    Polyak and Juditsky 1992; Izmailov et al. 2018, arXiv:1803.05407; the bias correction of the exponential
    mean is Adam's (Kingma and Ba 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """The mean of weights (N,) over all updates, or one with exponentially decaying shares.

    Args:
        weights: Weights of that shape.
        kind: ``none``, ``ema`` or ``polyak``.
        decay: Share of the exponential mean that each update keeps.

    Attributes:
        values: The average, shape (N,); zero before the first update; empty for ``none``.
        updates: Number of updates so far, shape ().
    """

    values: Tensor
    updates: Tensor

    def __init__(self, weights: Tensor, kind: str = "none", decay: float = 0.99) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros_like(weights if kind != "none" else weights[:0]))
        self.register_buffer("updates", torch.tensor(0))
        self._kind, self._decay = kind, decay

    def update(self, weights: Tensor) -> None:
        """Include the weights after an update, shape (N,)."""
        if self._kind == "none":
            return
        self.updates += 1
        updates = int(self.updates)
        share = 1 / updates if self._kind == "polyak" else (1 - self._decay) / (1 - self._decay**updates)
        self.values.lerp_(weights, share)

    @contextmanager
    def applied(self, weights: Tensor) -> Iterator[None]:
        """Replace the weights by their average while the block runs."""
        if not self.updates:
            yield
            return
        last = weights.clone()
        weights.copy_(self.values)
        try:
            yield
        finally:
            weights.copy_(last)
