"""Sampling: the session, whole pieces, primers, lengths. All of it is loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicrnn.lazy import lazy

if TYPE_CHECKING:
    from musicrnn.sampling.generation import generate as generate
    from musicrnn.sampling.generation import generate_many as generate_many
    from musicrnn.sampling.primers import read_primer as read_primer
    from musicrnn.sampling.sampler import Sampler as Sampler
    from musicrnn.sampling.sampler import SamplingSettings as SamplingSettings
    from musicrnn.sampling.sampler import layout_of as layout_of

_HOMES = {
    "Sampler": "musicrnn.sampling.sampler",
    "SamplingSettings": "musicrnn.sampling.sampler",
    "generate": "musicrnn.sampling.generation",
    "generate_many": "musicrnn.sampling.generation",
    "layout_of": "musicrnn.sampling.sampler",
    "read_primer": "musicrnn.sampling.primers",
}

__all__ = [*_HOMES]

__getattr__ = lazy("musicrnn.sampling", _HOMES)
