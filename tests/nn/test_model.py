from __future__ import annotations

import math

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


def test_input_noise_disturbs_what_is_heard_in_training_and_never_what_is_predicted() -> None:
    torch.manual_seed(0)
    model = build(ModelConfig(input_size=5, hidden=4, input_noise=0.3))
    frames = (torch.rand(1, 50, 5) < 0.5).float()
    assert not torch.allclose(model.nll(frames), model.nll(frames))
    torch.testing.assert_close(model.eval().nll(frames), model.nll(frames), rtol=0, atol=0)
    torch.nn.init.zeros_(model.head.linear.weight)
    torch.testing.assert_close(model.train().nll(frames), model.eval().nll(frames))


def test_input_noise_flips_cells_with_its_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = build(ModelConfig(input_size=50, hidden=4, input_noise=0.1))
    heard: list[torch.Tensor] = []
    forward = type(model.recurrent).forward
    monkeypatch.setattr(
        type(model.recurrent), "forward", lambda self, x, *rest: heard.append(x) or forward(self, x, *rest)
    )
    frames = (torch.rand(4, 100, 50) < 0.2).float()
    model.score(frames)
    clean = torch.cat([torch.zeros(4, 1, 50), frames[:, :-1]], 1)
    assert set(heard[0].unique().tolist()) == {0.0, 1.0}
    assert (heard[0] != clean).float().mean().item() == pytest.approx(0.1, abs=0.01)
