"""Attention to earlier frames of the piece: which frames followed when the context was like the present one.

Music repeats itself at distances that a recurrent state doesn't reach. Every state is a query to the states
before it; what it retrieves are the frames that came after them. A learned bias for distances lets a head
look eight bars back, independently of the states. Only input frames are ever retrieved, so the network stays
causal.

References:
    Vaswani et al. 2017, arXiv:1706.03762 (attention); Shaw, Uszkoreit and Vaswani 2018, arXiv:1803.02155
    (distances); Grave, Joulin and Usunier 2017, arXiv:1612.04426 (earlier states as keys to what followed).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicrnn.ops import State, Work, product_work

SPAN = 1024
"""Frames back that attention reaches."""

_BLOCK = 256
"""Frames whose attention is computed together."""

_FLOOR = 0.01
"""Keeps the log-odds of retrieved frames finite."""


class Retrieved(NamedTuple):
    """What attention retrieves.

    Attributes:
        frames: Probabilities of every cell from each head, shape (B, K, T, D).
        log_odds: Their gated log-odds, summed over heads, shape (B, T, D).
        memory: Keys, shape (B, S, K*E), and input frames, shape (B, S, D), of the last S steps, at most
            ``SPAN``.
    """

    frames: Tensor
    log_odds: Tensor
    memory: State


class Attention(nn.Module):
    """Heads of attention over the input frames.

    Args:
        hidden_size: Width of the states, H.
        heads: Attention heads, K.
        size: Width of a head's queries and keys, E.
    """

    def __init__(self, hidden_size: int, heads: int, size: int = 32) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.query = nn.Linear(hidden_size, heads * size)
        self.key = nn.Linear(hidden_size, heads * size, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, SPAN))
        self.no_match_logit = nn.Parameter(torch.zeros(heads))
        self.gate = nn.Linear(hidden_size, heads)
        nn.init.constant_(self.gate.bias, 0.3)

    def forward(self, hidden: Tensor, inputs: Tensor, expected: Tensor, memory: State = ()) -> Retrieved:
        """Attend from every state to the ones before it.

        Args:
            hidden: States after every input frame, shape (B, T, H).
            inputs: The input frames, shape (B, T, D).
            expected: Probabilities without attention, shape (B, T, D), which a head returns weighted by its
                no-match score.
            memory: As returned for the steps before; empty: there were none.
        """
        keys, frames = self.key(hidden), inputs
        if memory:
            keys, frames = torch.cat([memory[0], keys], 1), torch.cat([memory[1], frames], 1)
        query, start = self.query(hidden), keys.shape[1] - hidden.shape[1]
        parts = []
        for first in range(0, hidden.shape[1], _BLOCK):
            rows = slice(first, min(first + _BLOCK, hidden.shape[1]))
            parts.append(self._block(query[:, rows], keys, frames, expected[:, rows], start + first))
        retrieved = torch.cat(parts, 2)
        gate: Tensor = self.gate(hidden).transpose(1, 2)[..., None]
        gated = (gate * log_odds(retrieved)).sum(1)
        return Retrieved(retrieved, gated, (keys[:, -SPAN:], frames[:, -SPAN:]))

    def work(self, batch: int, frames: float, width: int) -> Work:
        """Return the work of a training step on B pieces of about T frames of width D."""
        rows, size = batch * frames, self.heads * self.size
        projections = product_work(rows, self.query.in_features, 2 * size)
        return projections + product_work(rows * min(frames, SPAN), 1, size + self.heads * width)

    def _block(self, query: Tensor, keys: Tensor, frames: Tensor, expected: Tensor, start: int) -> Tensor:
        """Attend from N states, the first of which is number ``start``, shape (B, N, K*E)."""
        batch, count, _ = query.shape
        first, last = max(0, start - SPAN), max(0, start + count - 1)
        keys, following = keys[:, first:last], frames[:, first + 1 : last + 1]
        query = query.view(batch, count, self.heads, self.size).transpose(1, 2)
        keys = keys.view(batch, last - first, self.heads, self.size).transpose(1, 2)
        scores = query @ keys.transpose(2, 3) / math.sqrt(self.size)
        scores = scores + self._distance_bias(start - first, count, last - first)
        no_match = self.no_match_logit.view(1, -1, 1, 1).expand(batch, self.heads, count, 1)
        weights = torch.cat([scores, no_match], 3).softmax(3)
        return weights[..., :-1] @ following[:, None] + weights[..., -1:] * expected[:, None]

    def _distance_bias(self, ahead: int, count: int, reach: int) -> Tensor:
        """Return the biases of distances, shape (K, N, M); minus infinity on frames that aren't before.

        State n of N looks at M states, the first of which lies ``ahead`` + n frames back.
        """
        if not reach:
            return self.distance.new_zeros(self.heads, count, 0)
        # Distances ahead - reach + 1 to ahead + count - 1 in a row; each state sees a window of them.
        least, most = ahead - reach + 1, ahead + count - 1
        known = self.distance[:, max(least, 1) - 1 : min(most, SPAN)]
        before = max(least, 1) - least
        padding = (before, count + reach - 1 - before - known.shape[1])
        return functional.pad(known, padding, value=-math.inf).unfold(1, reach, 1).flip(2)


def log_odds(probabilities: Tensor) -> Tensor:
    """Return log-odds that stay finite at probabilities of zero and one."""
    return torch.log(probabilities + _FLOOR) - torch.log(1 + _FLOOR - probabilities)
