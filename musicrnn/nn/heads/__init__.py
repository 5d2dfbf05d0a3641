"""Output distributions: each head makes the distribution of the next frame of the network's features.

A head is one file with one class, and a line in ``HEADS``.
"""

from __future__ import annotations

from torch import nn

from musicrnn.errors import UsageError
from musicrnn.nn.heads.bernoulli import Bernoulli
from musicrnn.nn.heads.distribution import Features, FeatureSizes, FrameDistribution, Head, marginals_of
from musicrnn.nn.heads.output import OutputLayer

HEADS: dict[str, type[nn.Module]] = {
    "bernoulli": Bernoulli,
}
"""The heads by the names that ``--head`` takes."""


def make_output(name: str, sizes: FeatureSizes) -> OutputLayer:
    """Return a new output layer with the head of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in HEADS:
        raise UsageError(f"head must be one of {', '.join(HEADS)}, got {name!r}")
    return OutputLayer(HEADS[name], sizes)


__all__ = [
    "HEADS",
    "FeatureSizes",
    "Features",
    "FrameDistribution",
    "Head",
    "OutputLayer",
    "make_output",
    "marginals_of",
]
