"""Optimizers that update all parameters as one vector; torch's own do it tensor by tensor and import slowly.

References:
    Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter 2019, arXiv:1711.05101; Tieleman and Hinton
    2012, "Lecture 6.5, rmsprop".
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from musicrnn.nn.parameters import FlatParameters


class Optimizer(nn.Module, ABC):
    """Base class: weight decay, and a state of buffers that ``state_dict`` returns.

    Args:
        parameters: The parameters to train.
        momentum: Share of the velocity, or of the mean gradient, that each step keeps.
        decay: Share of the mean square that each step keeps; sgd has none.
        weight_decay: Weight decay of matrices; vectors have none.

    Attributes:
        averages: Names of the buffers that are updated at each step, of shape (N,) each.
        steps: Number of steps so far, shape ().
    """

    averages: ClassVar[tuple[str, ...]] = ()
    steps: Tensor

    def __init__(
        self,
        parameters: FlatParameters,
        momentum: float = 0.9,
        decay: float = 0.999,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        self.momentum, self.decay, self.weight_decay = momentum, decay, weight_decay
        self.register_buffer("steps", torch.tensor(0))
        for name in self.averages:
            self.register_buffer(name, torch.zeros_like(parameters.values))
        is_matrix = [torch.full((view.numel(),), float(view.ndim > 1)) for view in parameters.views]
        self._decayed = torch.cat(is_matrix).to(parameters.values)
        self._flat = parameters

    def step(self, rate: float) -> None:
        """Update the parameters from their gradients, with the learning rate ``rate``."""
        self.steps += 1
        values, gradients = self._flat.values, self._flat.gradients
        if self.weight_decay:
            self._decay_weights(values, gradients, rate)
        self._update(values, gradients, rate, *map(self.get_buffer, self.averages))

    def _decay_weights(self, values: Tensor, gradients: Tensor, rate: float) -> None:
        """Add the gradient of an L2 penalty."""
        gradients.addcmul_(values, self._decayed, value=self.weight_decay)

    @abstractmethod
    def _update(self, values: Tensor, gradients: Tensor, rate: float, *averages: Tensor) -> None:
        """Change the values and the averages; ``steps`` counts this step already."""


class Adam(Optimizer):
    """Steps along the mean gradient over the root of its mean square, with bias correction of both."""

    averages = ("mean", "square")
    epsilon = 1e-8

    def _update(self, values: Tensor, gradients: Tensor, rate: float, *averages: Tensor) -> None:
        mean, square = averages
        first, second, steps = self.momentum, self.decay, int(self.steps)
        mean.lerp_(gradients, 1 - first)
        square.mul_(second).addcmul_(gradients, gradients, value=1 - second)
        root = square.sqrt().div_(math.sqrt(1 - second**steps)).add_(self.epsilon)
        values.addcdiv_(mean, root, value=-rate / (1 - first**steps))


class AdamW(Adam):
    """Adam with weight decay that is not part of the gradient."""

    def _decay_weights(self, values: Tensor, gradients: Tensor, rate: float) -> None:
        values.addcmul_(values, self._decayed, value=-rate * self.weight_decay)


class RMSProp(Optimizer):
    """Steps along the gradient over the root of its mean square, with momentum."""

    averages = ("square", "velocity")
    epsilon = 1e-8

    def _update(self, values: Tensor, gradients: Tensor, rate: float, *averages: Tensor) -> None:
        square, velocity = averages
        square.mul_(self.decay).addcmul_(gradients, gradients, value=1 - self.decay)
        root = square.sqrt().add_(self.epsilon)
        velocity.mul_(self.momentum).addcdiv_(gradients, root)
        values.add_(velocity, alpha=-rate)


class SGD(Optimizer):
    """Steps along the gradient, with momentum."""

    averages = ("velocity",)

    def _update(self, values: Tensor, gradients: Tensor, rate: float, *averages: Tensor) -> None:
        (velocity,) = averages
        velocity.mul_(self.momentum).add_(gradients)
        values.add_(velocity, alpha=-rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSProp, "sgd": SGD}
"""The optimizers by the names that ``--optimizer`` takes."""
