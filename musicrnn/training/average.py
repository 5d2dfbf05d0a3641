"""Averages of the weights along the way, which generalise better than the last ones.

References:
    Polyak and Juditsky 1992; Izmailov et al. 2018, arXiv:1803.05407; the exponential mean is corrected for
    its start as Adam's are (Kingma and Ba 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Average:
    """The mean of all weights after an update, or one in which older weights count less and less.

    Args:
        values: The weights, shape (N,), of which the average is to be kept.
        kind: ``none``, ``ema`` or ``polyak``.
        decay: Share of the exponential mean that stays at an update.

    Attributes:
        values: The average, shape (N,); zero before the first update.
        updates: Updates so far.
    """

    def __init__(self, values: Tensor, kind: str = "none", decay: float = 0.99) -> None:
        self.values = torch.zeros_like(values if kind != "none" else values[:0])
        self.updates = 0
        self._kind, self._decay = kind, decay

    def update(self, values: Tensor) -> None:
        """Take in the weights after an update, shape (N,)."""
        if self._kind == "none":
            return
        self.updates += 1
        if self._kind == "polyak":
            share = 1 / self.updates
        else:
            share = (1 - self._decay) / (1 - self._decay**self.updates)
        self.values.lerp_(values, share)

    @contextmanager
    def applied(self, values: Tensor) -> Iterator[None]:
        """Put the average in the place of the weights ``values`` while the block runs."""
        if not self.updates:
            yield
            return
        last = values.clone()
        values.copy_(self.values)
        try:
            yield
        finally:
            values.copy_(last)

    def state(self) -> dict[str, Tensor]:
        """Return what going on takes."""
        return {"values": self.values, "updates": torch.tensor(self.updates)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` returned.

        Raises:
            KeyError: Something is missing.
            RuntimeError: It is of another shape.
        """
        self.values.copy_(state["values"])
        self.updates = int(state["updates"])
