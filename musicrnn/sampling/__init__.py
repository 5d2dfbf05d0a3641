"""Generation and primers."""

from musicrnn.sampling.generation import Drawing, generate, generate_many, layout_of
from musicrnn.sampling.primers import read_primer

__all__ = ["Drawing", "generate", "generate_many", "layout_of", "read_primer"]
