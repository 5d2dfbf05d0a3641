"""A recurrence for every pitch, with the same weights for all: what is learned of one note holds for all.

Each pitch has a small state of its own. Its inputs are the octave around it, which pitch classes sound as
seen from the pitch, and its height. A tune or a voice that moves a step up is then the same event anywhere on
the keyboard. A small network, shared by all pitches too, combines the recurrence's output with what attention
retrieved, the state of the layers, the pitch, and its pitch class: where pieces are in C, that is the degree
of the scale, also for pieces that are transposed in training.

References:
    Johnson 2017, "Generating polyphonic music using tied parallel networks", EvoMUSART.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.nn.attention import log_odds
from musicrnn.nn.heads import FeatureSizes
from musicrnn.nn.recurrent import Dropout, Recurrent
from musicrnn.nn.settings import DropoutSettings
from musicrnn.ops import State, Work, product_work, recurrence_work

REACH = 12
"""Semitones to either side that are inputs of a pitch."""


_SCALE = 4.6
"""What the log-odds of retrieved frames are divided by, to be of the order of one."""


class PitchFeatures(NamedTuple):
    """What the pitch recurrence computes.

    Attributes:
        vectors: Features of every pitch, shape (B, P, T, U).
        log_odds: Shape (B, T, D).
        state: States of the pitches after the last frame, tensors of shape (B, P, U).
    """

    vectors: Tensor
    log_odds: Tensor
    state: State


class Pitchwise(nn.Module):
    """Features and log-odds for every pitch from a recurrence whose weights the pitches share.

    Args:
        cell: Recurrent unit.
        sizes: Sizes of the features; its units are ``pitch_units``, U.
        regularisation: Dropout, of the recurrence's outputs and before the log-odds.
    """

    def __init__(self, cell: str, sizes: FeatureSizes, regularisation: DropoutSettings) -> None:
        super().__init__()
        units, channels, pitches = sizes.pitch_units, sizes.channels, sizes.pitches
        dropout, variational = regularisation.dropout, regularisation.variational_dropout
        self.pitches, self.channels = pitches, channels
        self.recurrent = Recurrent(
            cell, input_width(channels), units, dropout=dropout, variational_dropout=variational
        )
        self.dropout = Dropout(dropout, variational)
        self.context_proj = nn.Linear(sizes.hidden, units)
        self.pitch_proj = nn.Linear(units + 2 * channels * sizes.attention, units, bias=False)
        self.pitch = nn.Parameter(0.1 * torch.randn(pitches, units))
        self.degree = nn.Parameter(0.1 * torch.randn(12, units))
        self.hidden = nn.Linear(units, units)
        self.output = nn.Linear(units, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        classes = (torch.arange(pitches)[:, None] + torch.arange(12)) % 12
        self.register_buffer("classes", classes, persistent=False)
        self.register_buffer("position", torch.linspace(-1, 1, pitches)[:, None], persistent=False)

    def forward(
        self,
        hidden: Tensor,
        inputs: Tensor,
        retrieved: Tensor | None = None,
        state: State = (),
        semitones: Tensor | None = None,
    ) -> PitchFeatures:
        """Compute features pitch by pitch.

        Args:
            hidden: States of the layers after every input frame, shape (B, T, H).
            inputs: The input frames, shape (B, T, D).
            retrieved: What attention retrieved, shape (B, K, T, D).
            state: States of the pitches before the first frame, as returned earlier; empty is zero.
            semitones: By how much each piece was transposed, shape (B,); None: not at all.
        """
        batch, count, _ = inputs.shape
        near = self._surroundings(inputs).reshape(batch * self.pitches, count, -1)
        before = None if not state else [tuple(tensor.reshape(len(near), -1) for tensor in state)]
        outputs, after = self.recurrent(near, before)
        outputs = outputs.view(batch, self.pitches, count, -1)
        if retrieved is not None:
            answers = retrieved.reshape(batch, -1, count, self.channels, self.pitches)
            answers = answers.permute(0, 4, 2, 1, 3).reshape(batch, self.pitches, count, -1)
            outputs = torch.cat([outputs, answers, log_odds(answers) / _SCALE], 3)
        degrees = torch.arange(self.pitches, device=inputs.device)
        degrees = (degrees if semitones is None else degrees - semitones[:, None]) % 12
        shared = self.context_proj(hidden)[:, None] + self.pitch[:, None] + self.degree[degrees].unsqueeze(-2)
        vectors = functional.relu(self.pitch_proj(outputs) + shared)
        vectors = vectors + functional.relu(self.hidden(vectors))
        vectors = self.dropout(vectors.flatten(0, 1)).view_as(vectors)
        cells = self.output(vectors).permute(0, 2, 3, 1).reshape(batch, count, -1)
        return PitchFeatures(
            vectors, cells, tuple(tensor.view(batch, self.pitches, -1) for tensor in after[0])
        )

    def work(self, batch: int, frames: float) -> Work:
        """Return the work of a training step on B pieces of about T frames."""
        layer, rows, units = self.recurrent.stack()[0], batch * frames, self.hidden.in_features
        recurrence = recurrence_work(
            layer.cell, batch * self.pitches, frames, self.recurrent.input_size, units
        )
        context = product_work(rows, self.context_proj.in_features, units)
        inputs = self.pitch_proj.in_features + units + self.channels
        return recurrence + context + product_work(rows * self.pitches, units, inputs)

    def _surroundings(self, inputs: Tensor) -> Tensor:
        """Return the inputs of every pitch, shape (B, P, T, S)."""
        batch, count, _ = inputs.shape
        blocks = inputs.view(batch, count, self.channels, self.pitches)
        near = functional.pad(blocks, (REACH, REACH)).unfold(3, 2 * REACH + 1, 1)
        near = near.permute(0, 3, 1, 2, 4).flatten(3)
        octaves = functional.pad(blocks[:, :, 0], (0, -self.pitches % 12)).view(batch, count, -1, 12).sum(2)
        classes = octaves[:, :, self.get_buffer("classes")].transpose(1, 2)
        position = self.get_buffer("position")[:, None].expand(batch, -1, count, -1)
        return torch.cat([near, classes, position], 3)


def input_width(channels: int) -> int:
    """Return the width of the inputs of a pitch, S: the octave around it, pitch classes, its height."""
    return channels * (2 * REACH + 1) + 12 + 1
