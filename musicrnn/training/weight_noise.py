"""Weight noise: a Gaussian perturbation of the recurrent layers' matrices, drawn once per update.

With a fixed deviation it is a regulariser. With an adaptive one every weight has a mean and a deviation of
its own, and what is minimised is the description length of music and weights: the expected NLL plus the
divergence of the weights' distribution from a Gaussian prior, whose mean and variance are the best for the
weights there are.

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

from musicrnn.training.optimizers import Optimizer


class WeightNoise(nn.Module):
    """Disturbs the input and recurrent matrices W and U of every layer; biases and peepholes stay clean.

    Args:
        module: The network, or some of its layers.
        deviation: Standard deviation of the noise; zero draws nothing.
        adaptive: Whether the deviations are learned, from that value on.

    Attributes:
        log_deviation: Logarithms of the deviations, shape (M,), a parameter to train; None if not adaptive.
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
    def applied(self, optimizer: Optimizer, source: np.random.Generator) -> Iterator[None]:
        """Add noise to the matrices, and take it away afterwards.

        Forward and backward belong inside the block, the optimizer's step behind it.

        Args:
            optimizer: Holds the matrices.
            source: What the noise is drawn from: numpy's normal numbers take a third of the time of torch's.
        """
        if self.deviation == 0:
            yield
            return
        spans = self._spans(optimizer.values)
        sizes = [len(span) for span in spans]
        clean = [span.clone() for span in spans]
        drawn = torch.from_numpy(source.standard_normal(sum(sizes), np.float32))
        self._noise = drawn.to(optimizer.values.device)
        if self.log_deviation is None:
            self._noise *= self.deviation
        else:
            self._noise *= self.log_deviation.detach().exp()
        for span, noise in zip(spans, torch.split(self._noise, sizes), strict=True):
            span += noise
        try:
            yield
        finally:
            for span, values in zip(spans, clean, strict=True):
                span.copy_(values)

    def add_gradients(self, optimizer: Optimizer, frames: int) -> None:
        """Add to the gradients of an NLL per frame what the description length of the weights adds.

        A deviation s enters the NLL by weight = mean + s * unit noise; the cost of a weight is the divergence
        of N(mean, s²) from the prior, spread over the frames of the corpus.

        Args:
            optimizer: Holds the matrices, the logarithms of their deviations, and the gradients.
            frames: Training frames of the corpus.
        """
        if self.log_deviation is None or self._noise is None:
            return
        spans = self._spans(optimizer.gradients)
        means = torch.cat(self._spans(optimizer.values))
        variances = (2 * self.log_deviation.detach()).exp()
        centre = means.mean()
        prior = (variances + (means - centre) ** 2).mean()
        assert self.log_deviation.grad is not None
        self.log_deviation.grad.add_(torch.cat(spans) * self._noise)
        self.log_deviation.grad.add_((variances / prior - 1) / frames)
        pull = (means - centre) / prior / frames
        for span, part in zip(spans, torch.split(pull, [len(span) for span in spans]), strict=True):
            span += part

    def _spans(self, vector: Tensor) -> list[Tensor]:
        """Return the parts of an optimizer's vector that belong to the matrices; neighbours are one part."""
        ends: list[list[int]] = []
        for matrix in self._matrices:
            start = int(matrix.storage_offset())
            if ends and ends[-1][1] == start:
                ends[-1][1] = start + matrix.numel()
            else:
                ends.append([start, start + matrix.numel()])
        return [vector[start:end] for start, end in ends]
