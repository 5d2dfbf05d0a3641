from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from musicrnn.errors import UsageError
from musicrnn.nn import ModelConfig, MusicRNN, build
from musicrnn.nn.heads import Bernoulli, make_head


@pytest.fixture
def model() -> MusicRNN:
    torch.manual_seed(0)
    return build(ModelConfig(input_size=5, hidden=4)).eval()


def test_nll_is_that_of_independent_bernoullis_given_the_frames_before(model: MusicRNN) -> None:
    frames = (torch.rand(1, 3, 5) < 0.5).float()
    heard, expected, state = torch.zeros(1, 5), [], None
    for t in range(3):
        step = model.step(heard, state)
        heard, state = frames[:, t], step.state
        p = torch.sigmoid(step.parameters)
        expected.append(-(heard * p.log() + (1 - heard) * (1 - p).log()).sum().item())
    assert model.nll(frames)[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_a_head_without_weights_gives_the_unigram(model: MusicRNN) -> None:
    rates = torch.tensor([0.5, 0.25, 0.1, 0.9, 0.01])
    model.head.start_at(rates)
    torch.nn.init.zeros_(model.head.linear.weight)
    frames = torch.tensor([[[1.0, 0, 0, 1, 0]]])
    expected = -sum(map(math.log, (0.5, 0.75, 0.9, 0.9, 0.99)))
    assert model.nll(frames).item() == pytest.approx(expected, rel=1e-5)


def test_padding_costs_nothing_and_changes_nothing(model: MusicRNN) -> None:
    frames = (torch.rand(2, 6, 5) < 0.5).float()
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    nll = model.nll(frames, mask)
    assert nll[1, 4:].tolist() == [0, 0]
    torch.testing.assert_close(nll[1:, :4], model.nll(frames[1:, :4]))


def test_a_frame_never_depends_on_later_ones(model: MusicRNN) -> None:
    frames = (torch.rand(1, 6, 5) < 0.5).float()
    other = frames.clone()
    other[:, 4:] = 1 - other[:, 4:]
    torch.testing.assert_close(model.nll(frames)[:, :4], model.nll(other)[:, :4], rtol=0, atol=0)


def test_probabilities_of_all_frames_sum_to_one(model: MusicRNN) -> None:
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 5)[:, None]
    assert torch.exp(-model.nll(every)).sum().item() == pytest.approx(1, rel=1e-5)


def test_temperature_divides_log_odds_and_draws_follow_the_uniforms() -> None:
    head, logits = Bernoulli(3, 2), torch.tensor([2.0, -2.0])
    torch.testing.assert_close(head.probabilities(logits, 2.0), torch.sigmoid(torch.tensor([1.0, -1.0])))
    assert head.draw(logits, torch.tensor([0.8, 0.2])).tolist() == [1, 0]
    assert head.draw(logits, torch.tensor([0.9, 0.1])).tolist() == [0, 1]


def test_unknown_heads_and_impossible_rates_are_refused() -> None:
    with pytest.raises(UsageError, match="head must be one of bernoulli, got 'softmax'"):
        make_head("softmax", 3, 2)
    with pytest.raises(UsageError, match="dropout must be at least 0 and below 1, got 1"):
        ModelConfig(input_size=5, dropout=1.0)


def test_tied_weights_are_one_tensor_that_hears_and_speaks() -> None:
    torch.manual_seed(0)
    tied = build(ModelConfig(input_size=5, hidden=4, tied=True))
    free = build(ModelConfig(input_size=5, hidden=4, embedding=4))
    assert tied.parameter_count == free.parameter_count - 5 * 4
    assert "embedding.weight" not in tied.state_dict() and "embedding.weight" in free.state_dict()
    with torch.no_grad():
        free.load_state_dict({**tied.state_dict(), "embedding.weight": tied.head.linear.weight.t()})
    frames = (torch.rand(2, 6, 5) < 0.5).float()
    torch.testing.assert_close(tied.nll(frames), free.nll(frames))
    tied.nll(frames).sum().backward()
    free.nll(frames).sum().backward()
    assert free.embedding is not None and free.embedding.weight.grad is not None
    expected = free.head.linear.weight.grad + free.embedding.weight.grad.t()
    torch.testing.assert_close(tied.head.linear.weight.grad, expected)


def test_ties_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="a tied embedding must be as wide as a layer, 4, got 3"):
        ModelConfig(input_size=5, hidden=4, tied=True, embedding=3)
    with pytest.raises(UsageError, match="as wide as a layer, got skip connections"):
        ModelConfig(input_size=5, hidden=4, layers=2, tied=True, connections="skip")


def test_what_is_heard_may_differ_from_what_is_predicted_and_states_carry_on(model: MusicRNN) -> None:
    frames = (torch.rand(2, 8, 5) < 0.5).float()
    heard = torch.cat([torch.zeros(2, 1, 5), frames[:, :-1]], 1)
    whole = model.score(frames)
    first = model.score(frames[:, :5], None, heard[:, :5])
    second = model.score(frames[:, 5:], None, heard[:, 5:], first.state)
    torch.testing.assert_close(torch.cat([first.nats, second.nats], 1), whole.nats)
    assert not torch.allclose(model.score(frames, None, 1 - heard).nats, whole.nats)


SHAPES: list[dict[str, Any]] = [
    {"attention": 2},
    {"clock": "2,7"},
    {"pitchwise": 3, "channels": 2},
    {"attention": 2, "pitchwise": 3, "cell": "lstm", "layers": 2, "embedding": 4, "clock": "3"},
]


def disturbed(options: dict[str, Any]) -> MusicRNN:
    """A network without a weight of zero, for frames of 12 cells."""
    torch.manual_seed(0)
    model = build(ModelConfig(input_size=12, hidden=4, **options)).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("options", SHAPES)
def test_frame_by_frame_and_chunk_by_chunk_it_says_what_it_says_at_once(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frames = disturbed(options), (torch.rand(2, 30, 12) < 0.3).float()
    whole = model(frames)[0]
    state, steps = None, []
    for t in range(30):
        step = model.step(frames[:, t], state)
        steps.append(step.parameters)
        state = step.state
    torch.testing.assert_close(torch.stack(steps, 1), whole)
    monkeypatch.setattr("musicrnn.nn.model._AT_ONCE", 14)
    with torch.no_grad():
        torch.testing.assert_close(model(frames)[0], whole)


@pytest.mark.parametrize("options", SHAPES)
def test_whatever_its_shape_a_frame_never_depends_on_later_ones(options: dict[str, Any]) -> None:
    model, frames = disturbed(options), (torch.rand(1, 9, 12) < 0.3).float()
    other = frames.clone()
    other[:, 5:] = 1 - other[:, 5:]
    torch.testing.assert_close(model.nll(frames)[:, :5], model.nll(other)[:, :5], rtol=0, atol=0)
    assert (model.nll(frames)[:, 6:] != model.nll(other)[:, 6:]).all()


@pytest.mark.parametrize("options", SHAPES)
def test_every_weight_learns(options: dict[str, Any]) -> None:
    model = disturbed(options).train()
    model.nll((torch.rand(2, 20, 12) < 0.3).float()).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
