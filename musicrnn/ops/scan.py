"""The loop over time that all naive recurrences share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from musicrnn.ops.cell import Cell, State, Weights


def scan(
    cell: Cell, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
) -> tuple[Tensor, State]:
    """Apply the equations of a cell frame by frame, which autograd differentiates; see ``recurrence``."""
    projected = functional.linear(inputs, weights.input, weights.bias[: len(weights.input)])
    step, outputs = cell.naive(weights), []
    if not inputs.shape[1]:
        return inputs.new_empty(len(inputs), 0, state[0].shape[1]), state
    for t, frame in enumerate(projected.unbind(1)):
        following = step(frame, state)
        if mask is not None:
            real = mask[:, t, None]
            following = tuple(torch.where(real, new, old) for new, old in zip(following, state, strict=True))
        state = following
        outputs.append(state[0])
    return torch.stack(outputs, 1), state
