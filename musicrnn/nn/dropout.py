"""Dropout of what layers put out: a mask for every frame, or one for all frames of a sequence.

References:
    Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329; Gal and Ghahramani 2016, arXiv:1512.05287.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Set outputs to zero with a probability in training, and scale the others up to keep their mean.

    Args:
        probability: That an output is dropped.
        variational: Whether a sequence has one mask for all its frames.
    """

    def __init__(self, probability: float, variational: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.variational = variational

    def forward(self, outputs: Tensor) -> Tensor:
        """Map outputs (B, T, H) to outputs of that shape."""
        if not self.variational:
            return functional.dropout(outputs, self.probability, self.training)
        return outputs * functional.dropout(
            outputs.new_ones(len(outputs), 1, outputs.shape[2]), self.probability, self.training
        )
