"""All parameters of a network as one vector, and their gradients as another.

A recurrent network has few numbers in several small tensors, so what an update costs is the number of
operations, not arithmetic. On vectors, the norm, clipping and every update are single operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn


class FlatParameters:
    """Parameters that become views of one vector.

    From here on they and their ``grad`` must be changed in place, and ``grad`` never set to None.
    ``backward`` adds to ``gradients``, which must be zeroed before.

    Args:
        parameters: On the device where they stay.

    Attributes:
        views: The parameters.
        values: Their values, shape (N,), in the order given.
        gradients: Their gradients, shape (N,).
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.views = list(parameters)
        self.values = torch.cat([parameter.detach().flatten() for parameter in self.views])
        self.gradients = torch.zeros_like(self.values)
        start = 0
        for parameter in self.views:
            span = slice(start, start + parameter.numel())
            parameter.data = self.values[span].view_as(parameter)
            parameter.grad = self.gradients[span].view_as(parameter)
            start = span.stop

    def spans(self, parameters: Sequence[nn.Parameter]) -> list[slice]:
        """Return where some of the parameters are in the vector; neighbours share a span."""
        spans: list[slice] = []
        for parameter in parameters:
            start = begin = int(parameter.storage_offset())
            if spans and spans[-1].stop == start:
                begin = spans.pop().start
            spans.append(slice(begin, start + parameter.numel()))
        return spans

    def clip_gradients(self, limit: float) -> float:
        """Scale the gradients down to a norm if theirs is larger; return their norm before.

        Args:
            limit: The norm; zero turns clipping off.
        """
        norm = float(self.gradients.norm())
        if 0 < limit < norm < math.inf:
            self.gradients.mul_(limit / norm)
        return norm
