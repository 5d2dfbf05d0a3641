"""Weight noise: Gaussian noise on the recurrent layers' matrices, sampled once per update.

With a fixed standard deviation it is a regulariser. When adaptive, each weight's deviation is trained, to
minimise the description length of music and weights: the expected NLL plus the divergence of the weights'
distribution from a Gaussian prior, whose mean and variance fit the weights best.

References:
    Graves 2011, "Practical variational inference for neural networks"; Jim, Giles and Horne 1996. The fixed
    standard deviation of 0.075 on music is that of Chung et al. 2014, arXiv:1412.3555.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from musicrnn.nn.parameters import FlatParameters


class WeightNoise(nn.Module):
    """Adds noise to the input and recurrent matrices W and U of every layer, not to biases and peepholes.

    Args:
        module: The network, or some of its layers.
        deviation: Standard deviation of the noise; zero turns it off.
        adaptive: Whether each weight's deviation is learned, starting at ``deviation``.

    Attributes:
        log_deviation: Logarithms of the deviations, shape (M,), trained; None if not adaptive.
    """

    def __init__(self, module: nn.Module, deviation: float, adaptive: bool = False) -> None:
        super().__init__()
        self.deviation = deviation
        named = module.named_parameters()
        self._matrices = [p for name, p in named if name.rpartition(".")[2].startswith("weight_")]
        count = sum(matrix.numel() for matrix in self._matrices)
        start = torch.full((count if adaptive else 0,), math.log(deviation or 1.0))
        self.log_deviation = nn.Parameter(start) if adaptive else None
        self._noise: Tensor | None = None

    @contextmanager
    def applied(self, parameters: FlatParameters, generator: np.random.Generator) -> Iterator[None]:
        """Add noise to the matrices, which are among ``parameters``, while the block runs.

        The generator is numpy's: its normal numbers take a third of the time of torch's.
        """
        if self.deviation == 0:
            yield
            return
        matrices = [parameters.values[span] for span in parameters.spans(self._matrices)]
        sizes = [len(matrix) for matrix in matrices]
        clean = [matrix.clone() for matrix in matrices]
        sample = torch.from_numpy(generator.standard_normal(sum(sizes), np.float32))
        self._noise = sample.to(parameters.values.device)
        if self.log_deviation is None:
            self._noise *= self.deviation
        else:
            self._noise *= self.log_deviation.detach().exp()
        for matrix, noise in zip(matrices, torch.split(self._noise, sizes), strict=True):
            matrix += noise
        try:
            yield
        finally:
            for matrix, values in zip(matrices, clean, strict=True):
                matrix.copy_(values)

    def add_gradients(self, parameters: FlatParameters, frames: int) -> None:
        """Add the gradient of the weights' description length to that of an NLL per frame.

        A deviation s enters the NLL by weight = mean + s * unit noise; the cost of a weight is the divergence
        of N(mean, s²) from the prior, spread over the training ``frames`` of the corpus.
        """
        if self.log_deviation is None or self._noise is None:
            return
        spans = parameters.spans(self._matrices)
        gradients = [parameters.gradients[span] for span in spans]
        means = torch.cat([parameters.values[span] for span in spans])
        variances = (2 * self.log_deviation.detach()).exp()
        centre = means.mean()
        prior = (variances + (means - centre) ** 2).mean()
        assert self.log_deviation.grad is not None
        self.log_deviation.grad.add_(torch.cat(gradients) * self._noise)
        self.log_deviation.grad.add_((variances / prior - 1) / frames)
        cost = (means - centre) / prior / frames
        for gradient, part in zip(gradients, torch.split(cost, list(map(len, gradients))), strict=True):
            gradient += part
