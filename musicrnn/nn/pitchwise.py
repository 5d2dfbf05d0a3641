"""A recurrence of every pitch, with the same weights for all: what is learned of a note holds for every note.

Each pitch has a small state of its own. It hears the octave around it, which pitch classes sound as seen from
where it stands, and where it stands. A tune or a voice that moves a step up is then the same event anywhere
on the keyboard, as it is to a musician. What it makes of that, and of what attention brought, goes through a
small network, shared by all pitches too, that also hears the state of the whole, the pitch, and its pitch
class: where pieces are in C, that is the degree of the scale, and stays so for pieces that are transposed in
training.

References:
    Johnson 2017, "Generating polyphonic music using tied parallel networks", EvoMUSART.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.nn.attention import log_odds
from musicrnn.nn.dropout import Dropout
from musicrnn.nn.recurrent import Recurrent
from musicrnn.ops import State

REACH = 12
"""Semitones to either side that a pitch hears."""

_SCALE = 4.6
"""What the log-odds of attended frames are divided by, to be of the size of one."""


class Pitchwise(nn.Module):
    """Log-odds for every pitch from a recurrence whose weights the pitches share.

    Args:
        cell: Recurrent unit.
        hidden_size: Width of the states of the whole, H.
        pitches: Number of pitches, P.
        channels: Cells of a pitch, C; a frame has D = C*P.
        units: Units of each pitch, U.
        heads: Heads of attention whose answers are heard, K.
        dropout: Probability that a value is set to zero in training, of the states and before the output.
        variational_dropout: One dropout mask for all frames.
    """

    def __init__(
        self,
        cell: str,
        hidden_size: int,
        pitches: int,
        channels: int,
        units: int,
        heads: int = 0,
        dropout: float = 0.0,
        variational_dropout: bool = False,
    ) -> None:
        super().__init__()
        self.pitches, self.channels = pitches, channels
        self.recurrent = Recurrent(
            cell,
            channels * (2 * REACH + 1) + 12 + 1,
            units,
            1,
            dropout,
            variational_dropout=variational_dropout,
        )
        self.dropout = Dropout(dropout, variational_dropout)
        self.whole = nn.Linear(hidden_size, units)
        self.own = nn.Linear(units + 2 * channels * heads, units, bias=False)
        self.pitch = nn.Parameter(0.1 * torch.randn(pitches, units))
        self.degree = nn.Parameter(0.1 * torch.randn(12, units))
        self.middle = nn.Linear(units, units)
        self.output = nn.Linear(units, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        classes = (torch.arange(pitches)[:, None] + torch.arange(12)) % 12
        self.register_buffer("classes", classes, persistent=False)
        self.register_buffer("position", torch.linspace(-1, 1, pitches)[:, None], persistent=False)

    def forward(
        self,
        hidden: Tensor,
        heard: Tensor,
        attended: Tensor | None = None,
        state: State = (),
        semitones: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Hear frames pitch by pitch.

        Args:
            hidden: States of the whole after every frame heard, shape (B, T, H).
            heard: The frames heard, shape (B, T, D).
            attended: What attention brought, shape (B, K, T, D).
            state: States of the pitches before the first frame, shapes (B, P, U); empty is zero.
            semitones: By how much each piece was transposed, shape (B,); None: not at all.

        Returns:
            Log-odds to be added to the head's, shape (B, T, D), and the states after the last frame.
        """
        batch, count, _ = heard.shape
        own = self._surroundings(heard).reshape(batch * self.pitches, count, -1)
        before = None if not state else [tuple(tensor.reshape(len(own), -1) for tensor in state)]
        own, after = self.recurrent(own, before)
        own = own.view(batch, self.pitches, count, -1)
        if attended is not None:
            answers = attended.reshape(batch, -1, count, self.channels, self.pitches)
            answers = answers.permute(0, 4, 2, 1, 3).reshape(batch, self.pitches, count, -1)
            own = torch.cat([own, answers, log_odds(answers) / _SCALE], 3)
        degrees = torch.arange(self.pitches, device=heard.device)
        degrees = (degrees if semitones is None else degrees - semitones[:, None]) % 12
        shared = self.whole(hidden)[:, None] + self.pitch[:, None] + self.degree[degrees].unsqueeze(-2)
        mixed = functional.relu(self.own(own) + shared)
        mixed = mixed + functional.relu(self.middle(mixed))
        mixed = self.dropout(mixed.flatten(0, 1)).view_as(mixed)
        parameters = self.output(mixed).permute(0, 2, 3, 1).reshape(batch, count, -1)
        return parameters, tuple(tensor.view(batch, self.pitches, -1) for tensor in after[0])

    def _surroundings(self, heard: Tensor) -> Tensor:
        """Return what every pitch hears, shape (B, P, T, S)."""
        batch, count, _ = heard.shape
        blocks = heard.view(batch, count, self.channels, self.pitches)
        near = functional.pad(blocks, (REACH, REACH)).unfold(3, 2 * REACH + 1, 1)
        near = near.permute(0, 3, 1, 2, 4).flatten(3)
        octaves = functional.pad(blocks[:, :, 0], (0, -self.pitches % 12)).view(batch, count, -1, 12).sum(2)
        classes = octaves[:, :, self.get_buffer("classes")].transpose(1, 2)
        position = self.get_buffer("position")[:, None].expand(batch, -1, count, -1)
        return torch.cat([near, classes, position], 3)
