"""Attention to earlier frames of the piece: what followed when things stood as they stand now.

Music repeats itself at a distance, farther than a recurrent state reaches. Every state asks all states before
it, and what it hears in answer are the frames that came after them. A learned preference for distances lets
a head of attention look eight bars back whatever the states say. Only frames that have been heard are ever
attended to, so the network stays causal.

References:
    Vaswani et al. 2017, arXiv:1706.03762 (attention); Shaw, Uszkoreit and Vaswani 2018, arXiv:1803.02155
    (distances); Grave, Joulin and Usunier 2017, arXiv:1612.04426 (earlier states as keys to what followed).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.errors import UsageError
from musicrnn.ops import State

SPAN = 1024
"""Frames back that attention reaches."""

_BLOCK = 256
"""Frames whose attention is computed together."""

_LEAST = 0.01
"""Keeps the log-odds of attended frames finite."""


class Attention(nn.Module):
    """Heads of attention over what was heard, and the log-odds that they add to the output.

    Args:
        hidden_size: Width of the states, H.
        heads: Heads of attention, K.
        size: Width of a head's queries and keys, E.

    Raises:
        UsageError: A size is below 1.
    """

    def __init__(self, hidden_size: int, heads: int, size: int = 32) -> None:
        super().__init__()
        if size < 1:
            raise UsageError(f"attention_size must be at least 1, got {size}")
        self.heads, self.size = heads, size
        self.query = nn.Linear(hidden_size, heads * size)
        self.key = nn.Linear(hidden_size, heads * size, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, SPAN))
        self.nothing = nn.Parameter(torch.zeros(heads))
        self.strength = nn.Linear(hidden_size, heads)
        nn.init.constant_(self.strength.bias, 0.3)

    def forward(
        self, hidden: Tensor, heard: Tensor, expected: Tensor, memory: State = ()
    ) -> tuple[Tensor, State]:
        """Attend from every state to the ones before it.

        Args:
            hidden: States after every frame heard, shape (B, T, H).
            heard: The frames heard, shape (B, T, D).
            expected: What is expected without attention, which a head brings as far as nothing that it finds
                is like the present: probabilities, shape (B, T, D).
            memory: Keys, shape (B, S, K*E), and frames, shape (B, S, D), of the S steps before, at most
                ``SPAN``; empty: there were none.

        Returns:
            The probabilities that each head brings, shape (B, K, T, D), and the memory after the last frame.
        """
        keys, frames = self.key(hidden), heard
        if memory:
            keys, frames = torch.cat([memory[0], keys], 1), torch.cat([memory[1], frames], 1)
        query, start = self.query(hidden), keys.shape[1] - hidden.shape[1]
        parts = []
        for first in range(0, hidden.shape[1], _BLOCK):
            rows = slice(first, min(first + _BLOCK, hidden.shape[1]))
            parts.append(self._block(query[:, rows], keys, frames, expected[:, rows], start + first))
        return torch.cat(parts, 2), (keys[:, -SPAN:], frames[:, -SPAN:])

    def log_odds(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Return what is added to the output's log-odds, shape (B, T, D).

        Args:
            hidden: States, shape (B, T, H), which say how strong the answer of each head is.
            attended: The answers, shape (B, K, T, D).
        """
        strength: Tensor = self.strength(hidden).transpose(1, 2)[..., None]
        return (strength * log_odds(attended)).sum(1)

    def _block(self, query: Tensor, keys: Tensor, frames: Tensor, expected: Tensor, start: int) -> Tensor:
        """Attend from N states, the first of which is number ``start``, shape (B, N, K*E)."""
        batch, count, _ = query.shape
        first, last = max(0, start - SPAN), max(0, start + count - 1)
        keys, following = keys[:, first:last], frames[:, first + 1 : last + 1]
        query = query.view(batch, count, self.heads, self.size).transpose(1, 2)
        keys = keys.view(batch, last - first, self.heads, self.size).transpose(1, 2)
        scores = query @ keys.transpose(2, 3) / math.sqrt(self.size)
        scores = scores + self._preferences(start - first, count, last - first)
        nothing = self.nothing.view(1, -1, 1, 1).expand(batch, self.heads, count, 1)
        weights = torch.cat([scores, nothing], 3).softmax(3)
        return weights[..., :-1] @ following[:, None] + weights[..., -1:] * expected[:, None]

    def _preferences(self, ahead: int, count: int, reach: int) -> Tensor:
        """Return what heads make of distances, shape (K, N, M); minus infinity on what isn't yet heard.

        State n of N looks at M states, the first of which lies ``ahead`` + n frames back.
        """
        back = ahead + torch.arange(count)[:, None] - torch.arange(reach)
        back = back.to(self.distance.device)
        preferences = functional.embedding((back - 1).clamp(0, SPAN - 1), self.distance.t())
        return preferences.permute(2, 0, 1).masked_fill((back < 1) | (back > SPAN), -math.inf)


def log_odds(probabilities: Tensor) -> Tensor:
    """Return log-odds that stay finite at probabilities of zero and one."""
    return torch.log(probabilities + _LEAST) - torch.log(1 + _LEAST - probabilities)
