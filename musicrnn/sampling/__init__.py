"""Sampling: the session, whole pieces, primers, lengths."""

from musicrnn.sampling.generation import generate, generate_many
from musicrnn.sampling.lengths import Length, check_tempo, choose_metre, choose_tempo
from musicrnn.sampling.primers import read_primer
from musicrnn.sampling.sampler import Sampler, SamplingSettings, layout_of

__all__ = [
    "Length",
    "Sampler",
    "SamplingSettings",
    "check_tempo",
    "choose_metre",
    "choose_tempo",
    "generate",
    "generate_many",
    "layout_of",
    "read_primer",
]
