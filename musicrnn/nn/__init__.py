"""Torch modules: recurrent layers, heads, the model."""

from musicrnn.nn.heads import HEADS, Head
from musicrnn.nn.model import ModelConfig, MusicRNN, Step, build
from musicrnn.nn.recurrent import Recurrent, RecurrentLayer

__all__ = ["HEADS", "Head", "ModelConfig", "MusicRNN", "Recurrent", "RecurrentLayer", "Step", "build"]
