"""The loop over time that all naive recurrences share."""

from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.ops.cell import State, Step, Weights


def scan(
    step: Step, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None
) -> tuple[Tensor, State]:
    """Apply ``step`` frame by frame; autograd differentiates it.

    Args:
        step: One time step of a cell.
        inputs: Shape (B, T, D).
        state: State before the first frame, tensors of shape (B, H).
        weights: The layer's parameters.
        mask: True on real frames, shape (B, T); on others the state stays as it is. None: all are real.

    Returns:
        Outputs, shape (B, T, H), and the state after the last real frame of each row.
    """
    projected = torch.nn.functional.linear(inputs, weights.input, weights.bias)
    outputs = []
    for t, frame in enumerate(projected.unbind(1)):
        following = step(frame, state, weights)
        if mask is not None:
            real = mask[:, t, None]
            following = tuple(torch.where(real, new, old) for new, old in zip(following, state, strict=True))
        state = following
        outputs.append(state[0])
    return torch.stack(outputs, 1), state
