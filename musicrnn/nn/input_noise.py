"""Input noise: some cells of the frames heard are flipped, so that a network learns to bear its own slips.

References:
    Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def flip(frames: Tensor, probability: float) -> Tensor:
    """Return binary frames in which every cell is flipped with a probability, each on its own.

    What is drawn are the gaps between flips, which are geometric: fewer random numbers than cells by the
    factor of the probability. They come from torch's global random state.
    """
    result = frames.clone().view(-1)
    before = -1
    while before < len(result):
        expected = probability * (len(result) - before)
        gaps = torch.empty(math.ceil(expected + 4 * math.sqrt(expected)) + 1).geometric_(probability)
        cells = gaps.long().cumsum(0) + before
        before = int(cells[-1])
        cells = cells[cells < len(result)].to(result.device)
        result[cells] = 1 - result[cells]
    return result.view_as(frames)
