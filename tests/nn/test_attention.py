"""Attention to earlier frames against plain loops, and what it must never see."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from musicrnn.errors import UsageError
from musicrnn.nn import attention
from musicrnn.nn.attention import Attention, log_odds


@pytest.fixture
def layer() -> Attention:
    torch.manual_seed(0)
    layer = Attention(hidden_size=5, heads=2, size=3)
    torch.nn.init.normal_(layer.distance)
    torch.nn.init.normal_(layer.nothing)
    return layer


def drawn(*shape: int) -> Tensor:
    return torch.rand(*shape)


def by_loops(layer: Attention, hidden: Tensor, heard: Tensor, expected: Tensor, span: int) -> Tensor:
    """What every head brings for one piece, frame by frame."""
    queries, keys = layer.query(hidden), layer.key(hidden)
    answers = torch.zeros(layer.heads, *heard.shape)
    for head in range(layer.heads):
        mine = slice(head * layer.size, (head + 1) * layer.size)
        for t in range(len(heard)):
            shares, frames = [math.exp(layer.nothing[head].item())], [expected[t]]
            for s in range(max(0, t - span), t):
                score = float(queries[t, mine] @ keys[s, mine]) / math.sqrt(layer.size)
                shares.append(math.exp(score + layer.distance[head, t - s - 1].item()))
                frames.append(heard[s + 1])
            answers[head, t] = sum(
                (share / sum(shares) * frame for share, frame in zip(shares, frames, strict=True)),
                torch.zeros(heard.shape[1]),
            )
    return answers


@pytest.mark.parametrize(("span", "block"), [(1024, 256), (4, 256), (1024, 3), (4, 3)])
def test_it_is_what_loops_say(
    layer: Attention, monkeypatch: pytest.MonkeyPatch, span: int, block: int
) -> None:
    monkeypatch.setattr(attention, "SPAN", span)
    monkeypatch.setattr(attention, "_BLOCK", block)
    hidden, heard, expected = drawn(1, 11, 5), drawn(1, 11, 4).round(), drawn(1, 11, 4)
    with torch.no_grad():
        answers, memory = layer(hidden, heard, expected)
        torch.testing.assert_close(answers[0], by_loops(layer, hidden[0], heard[0], expected[0], span))
    assert [tensor.shape[1] for tensor in memory] == [min(11, span)] * 2


def test_memory_carries_on_where_it_stopped(layer: Attention, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "SPAN", 5)
    hidden, heard, expected = drawn(2, 12, 5), drawn(2, 12, 4), drawn(2, 12, 4)
    whole, _ = layer(hidden, heard, expected)
    memory, parts = (), []
    for span in (slice(0, 1), slice(1, 4), slice(4, 12)):
        part, memory = layer(hidden[:, span], heard[:, span], expected[:, span], memory)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 2), whole)


def test_the_first_frame_hears_what_is_expected(layer: Attention) -> None:
    expected = drawn(1, 1, 4)
    answers, _ = layer(drawn(1, 1, 5), drawn(1, 1, 4), expected)
    torch.testing.assert_close(answers[:, 0], expected)
    torch.testing.assert_close(answers[:, 1], expected)


def test_a_frame_is_heard_only_once_it_is_past(layer: Attention) -> None:
    hidden, heard, expected = drawn(1, 8, 5), drawn(1, 8, 4), drawn(1, 8, 4)
    before, _ = layer(hidden, heard, expected)
    hidden[:, 5:], heard[:, 5:], expected[:, 5:] = 9, 1, 0.5
    after, _ = layer(hidden, heard, expected)
    torch.testing.assert_close(after[:, :, :5], before[:, :, :5], rtol=0, atol=0)


def test_log_odds_are_finite_and_odd() -> None:
    found = log_odds(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, -found.flip(0))
    assert found[2] == 0


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="attention_size must be at least 1, got 0"):
        Attention(5, 2, 0)
