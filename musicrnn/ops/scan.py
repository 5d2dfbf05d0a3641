"""The loop over time that all naive recurrences share."""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import Cell, State, Weights


def scan(
    cell: Cell, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
) -> tuple[Tensor, State]:
    """Apply the equations of a cell frame by frame; autograd differentiates them.

    Args:
        cell: The recurrent unit.
        inputs: Shape (B, T, D).
        state: State before the first frame, tensors of shape (B, H).
        weights: The layer's parameters.
        mask: True on real frames, shape (B, T); on others the state stays as it is. None: all are real.

    Returns:
        Outputs, shape (B, T, H), and the state after the last real frame of each row.
    """
    bias = weights.bias[: len(weights.input)]
    projected = torch.nn.functional.linear(inputs, weights.input, bias)
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
