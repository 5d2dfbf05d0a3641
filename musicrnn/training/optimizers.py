"""Optimizers that move all parameters of a network as one vector.

A recurrent network has few numbers in several small tensors, and what a step costs is calls, not arithmetic.
So parameters become views of one vector and their gradients of another: the norm, clipping and every update
are single operations, whatever the number of layers. torch's own optimizers do the same arithmetic tensor by
tensor, and importing what they need takes longer than training a small network.

References:
    Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter 2019, arXiv:1711.05101; Tieleman and Hinton
    2012, "Lecture 6.5, rmsprop".
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn


class Optimizer(ABC):
    """What all optimizers share: the vectors, clipping, weight decay, and a memory that can be saved.

    From here on the parameters and their ``grad`` are views: they are to be changed in place, and ``grad``
    never to be set to None. A pass adds to ``gradients``, so it has to be zeroed before.

    Args:
        parameters: On the device where they are to be trained.
        momentum: Share of the velocity, or of the mean gradient, that stays from step to step.
        decay: Share of the mean square that stays; sgd has none.
        weight_decay: Weight decay of matrices; biases have none.

    Attributes:
        values: All parameters, shape (N,), in the order given.
        gradients: Their gradients, shape (N,).
        memory: What is remembered from step to step, by name, each of shape (N,).
        steps: Steps so far.
    """

    names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        momentum: float = 0.9,
        decay: float = 0.999,
        weight_decay: float = 0.0,
    ) -> None:
        parameters = list(parameters)
        self.momentum, self.decay, self.weight_decay = momentum, decay, weight_decay
        self.values = torch.cat([parameter.detach().flatten() for parameter in parameters])
        self.gradients = torch.zeros_like(self.values)
        self.memory = {name: torch.zeros_like(self.values) for name in self.names}
        self.steps = 0
        self._decayed = torch.zeros_like(self.values) if weight_decay else None
        start = 0
        for parameter in parameters:
            end = start + parameter.numel()
            if self._decayed is not None and parameter.ndim > 1:
                self._decayed[start:end] = 1
            parameter.data = self.values[start:end].view_as(parameter)
            parameter.grad = self.gradients[start:end].view_as(parameter)
            start = end

    def clip(self, limit: float) -> float:
        """Scale the gradient down to a norm if it is longer; return its norm before.

        Args:
            limit: The norm; zero leaves the gradient alone.
        """
        norm = float(self.gradients.norm())
        if 0 < limit < norm < math.inf:
            self.gradients.mul_(limit / norm)
        return norm

    def step(self, rate: float) -> None:
        """Move the parameters along their gradients.

        Args:
            rate: The learning rate.
        """
        self.steps += 1
        if self._decayed is not None:
            self._decay_weights(rate, self._decayed)
        self._move(rate)

    def _decay_weights(self, rate: float, decayed: Tensor) -> None:
        """Decay weights by the gradient of their squares, as L2 regularisation does."""
        self.gradients.addcmul_(self.values, decayed, value=self.weight_decay)

    @abstractmethod
    def _move(self, rate: float) -> None:
        """Move the parameters; the step that is being taken counts already."""

    def state(self) -> dict[str, Tensor]:
        """Return what going on takes."""
        return {**self.memory, "steps": torch.tensor(self.steps)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` returned.

        Raises:
            KeyError: Something is missing.
            RuntimeError: It is of another shape.
        """
        for name, tensor in self.memory.items():
            tensor.copy_(state[name])
        self.steps = int(state["steps"])


class Adam(Optimizer):
    """Steps along the mean gradient over the root of its mean square, both corrected for their start."""

    names = ("mean", "square")
    epsilon = 1e-8

    def _move(self, rate: float) -> None:
        mean, square = self.memory.values()
        first, second = self.momentum, self.decay
        mean.lerp_(self.gradients, 1 - first)
        square.mul_(second).addcmul_(self.gradients, self.gradients, value=1 - second)
        scale = math.sqrt(1 - second**self.steps)
        root = square.sqrt().div_(scale).add_(self.epsilon)
        self.values.addcdiv_(mean, root, value=-rate / (1 - first**self.steps))


class AdamW(Adam):
    """Adam whose weight decay is no part of the gradient."""

    def _decay_weights(self, rate: float, decayed: Tensor) -> None:
        self.values.addcmul_(self.values, decayed, value=-rate * self.weight_decay)


class RMSProp(Optimizer):
    """Steps along the gradient over the root of its mean square, with momentum."""

    names = ("square", "velocity")
    epsilon = 1e-8

    def _move(self, rate: float) -> None:
        square, velocity = self.memory.values()
        square.mul_(self.decay).addcmul_(self.gradients, self.gradients, value=1 - self.decay)
        root = square.sqrt().add_(self.epsilon)
        velocity.mul_(self.momentum).addcdiv_(self.gradients, root)
        self.values.add_(velocity, alpha=-rate)


class SGD(Optimizer):
    """Steps along the gradient, with momentum."""

    names = ("velocity",)

    def _move(self, rate: float) -> None:
        (velocity,) = self.memory.values()
        velocity.mul_(self.momentum).add_(self.gradients)
        self.values.add_(velocity, alpha=-rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSProp, "sgd": SGD}
"""The optimizers by the names that ``--optimizer`` takes."""
