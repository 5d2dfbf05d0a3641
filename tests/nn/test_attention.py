"""Attention to earlier frames against plain loops, and what it must never see."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from musicrnn.nn import attention
from musicrnn.nn.attention import Attention, log_odds


@pytest.fixture
def layer() -> Attention:
    torch.manual_seed(0)
    layer = Attention(hidden_size=5, heads=2, size=3)
    torch.nn.init.normal_(layer.distance)
    torch.nn.init.normal_(layer.no_match_logit)
    return layer


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape)


def by_loops(layer: Attention, hidden: Tensor, inputs: Tensor, expected: Tensor, span: int) -> Tensor:
    """What every head retrieves for one piece, frame by frame."""
    queries, keys = layer.query(hidden), layer.key(hidden)
    answers = torch.zeros(layer.heads, *inputs.shape)
    for head in range(layer.heads):
        mine = slice(head * layer.size, (head + 1) * layer.size)
        for t in range(len(inputs)):
            shares, frames = [math.exp(layer.no_match_logit[head].item())], [expected[t]]
            for s in range(max(0, t - span), t):
                score = float(queries[t, mine] @ keys[s, mine]) / math.sqrt(layer.size)
                shares.append(math.exp(score + layer.distance[head, t - s - 1].item()))
                frames.append(inputs[s + 1])
            answers[head, t] = sum(
                (share / sum(shares) * frame for share, frame in zip(shares, frames, strict=True)),
                torch.zeros(inputs.shape[1]),
            )
    return answers


@pytest.mark.parametrize(("span", "block"), [(1024, 256), (4, 256), (1024, 3), (4, 3)])
def test_it_equals_plain_loops(
    layer: Attention, monkeypatch: pytest.MonkeyPatch, span: int, block: int
) -> None:
    monkeypatch.setattr(attention, "SPAN", span)
    monkeypatch.setattr(attention, "_BLOCK", block)
    hidden, inputs, expected = uniform(1, 11, 5), uniform(1, 11, 4).round(), uniform(1, 11, 4)
    with torch.no_grad():
        answers, _, memory = layer(hidden, inputs, expected)
        torch.testing.assert_close(answers[0], by_loops(layer, hidden[0], inputs[0], expected[0], span))
    assert [tensor.shape[1] for tensor in memory] == [min(11, span)] * 2


def test_memory_is_carried_from_chunk_to_chunk(layer: Attention, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "SPAN", 5)
    hidden, inputs, expected = uniform(2, 12, 5), uniform(2, 12, 4), uniform(2, 12, 4)
    whole = layer(hidden, inputs, expected).frames
    memory, parts = (), []
    for span in (slice(0, 1), slice(1, 4), slice(4, 12)):
        part, _, memory = layer(hidden[:, span], inputs[:, span], expected[:, span], memory)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 2), whole)


def test_the_first_frame_retrieves_what_is_expected(layer: Attention) -> None:
    expected = uniform(1, 1, 4)
    answers = layer(uniform(1, 1, 5), uniform(1, 1, 4), expected).frames
    torch.testing.assert_close(answers[:, 0], expected)
    torch.testing.assert_close(answers[:, 1], expected)


def test_a_frame_is_retrieved_only_when_it_is_past(layer: Attention) -> None:
    hidden, inputs, expected = uniform(1, 8, 5), uniform(1, 8, 4), uniform(1, 8, 4)
    before = layer(hidden, inputs, expected).frames
    hidden[:, 5:], inputs[:, 5:], expected[:, 5:] = 9, 1, 0.5
    after = layer(hidden, inputs, expected).frames
    torch.testing.assert_close(after[:, :, :5], before[:, :, :5], rtol=0, atol=0)


def test_log_odds_are_finite_and_odd() -> None:
    found = log_odds(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, -found.flip(0))
    assert found[2] == 0


def test_gated_log_odds_are_summed_over_heads(layer: Attention) -> None:
    hidden, inputs, expected = uniform(1, 6, 5), uniform(1, 6, 4).round(), uniform(1, 6, 4)
    frames, found, _ = layer(hidden, inputs, expected)
    gate = layer.gate(hidden)
    whole = sum(gate[..., head, None] * log_odds(frames[:, head]) for head in range(2))
    torch.testing.assert_close(found, whole)
