"""Output distributions: each head makes the distribution of the next frame of the network's features.

A head is a file here with a class, see ``Head``, and a line in ``HEADS``.
"""

from __future__ import annotations

from importlib import import_module

from musicrnn.errors import UsageError
from musicrnn.nn.heads.distribution import Features, FeatureSizes, FrameDistribution, Head, marginals_of
from musicrnn.nn.heads.output import OutputLayer

HEADS = {
    "bernoulli": "bernoulli.Bernoulli",
}
"""The heads by the names that ``--head`` takes: the file of each, and the class in it."""


def make_output(name: str, sizes: FeatureSizes) -> OutputLayer:
    """Return a new output layer with the head of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in HEADS:
        raise UsageError(f"head must be one of {', '.join(HEADS)}, got {name!r}")
    module, _, head = HEADS[name].partition(".")
    return OutputLayer(getattr(import_module(f"{__name__}.{module}"), head)(sizes), sizes)


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
