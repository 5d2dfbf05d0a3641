"""Distributions: probabilities sum to one, samples have them, fixed cells stay, marginals are right."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from musicrnn.errors import UsageError
from musicrnn.nn.heads import Features, FeatureSizes, FrameDistribution, Head, OutputLayer, marginals_of
from musicrnn.nn.heads.bernoulli import Bernoulli
from tests.nn.heads.shared_factor import SharedFactor

CELLS = 4
SIZES = FeatureSizes(hidden=3, pitches=CELLS)
EVERY = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * CELLS)


def features(rows: int = 1) -> Features:
    torch.manual_seed(0)
    hidden, log_odds = torch.randn(1, 1, 3), 1.5 * torch.randn(1, 1, CELLS)
    return Features(hidden.expand(rows, 1, 3), log_odds.expand(rows, 1, CELLS), torch.zeros(rows, 1, CELLS))


@pytest.fixture(params=[Bernoulli, SharedFactor])
def head(request: pytest.FixtureRequest) -> Head:
    torch.manual_seed(3)
    made: Head = request.param(SIZES)
    return made


def probabilities(distribution: FrameDistribution) -> Tensor:
    """The probabilities of all frames, from a distribution for as many rows."""
    return distribution.log_prob(EVERY[:, None])[:, 0].exp()


def test_probabilities_of_all_frames_sum_to_one(head: Head) -> None:
    assert probabilities(head(features(len(EVERY)))).sum().item() == pytest.approx(1, rel=1e-5)


def test_marginals_are_sums_of_probabilities(head: Head) -> None:
    expected = (probabilities(head(features(len(EVERY))))[:, None] * EVERY).sum(0)
    torch.testing.assert_close(head(features()).marginals()[0, 0], expected)


def sampled(head: Head, given: Tensor | None = None, rows: int = 20_000) -> Tensor:
    """How often each frame is sampled, as shares."""
    noise = torch.rand(rows, 1, head.noise_size)
    fixed = None if given is None else given.expand(rows, 1, CELLS)
    frames = head(features(rows)).sample(noise, fixed)[:, 0]
    return torch.bincount((frames @ (2 ** torch.arange(CELLS - 1, -1, -1.0))).long(), minlength=16) / rows


def test_frames_are_sampled_with_their_probabilities(head: Head) -> None:
    expected = probabilities(head(features(len(EVERY))))
    torch.testing.assert_close(sampled(head), expected, atol=0.015, rtol=0)


def test_fixed_cells_condition_the_others(head: Head) -> None:
    given = torch.tensor([1, -1, 0, -1])
    allowed = (EVERY[:, 0] == 1) & (EVERY[:, 2] == 0)
    expected = probabilities(head(features(len(EVERY)))) * allowed
    torch.testing.assert_close(sampled(head, given), expected / expected.sum(), atol=0.015, rtol=0)


def test_marginals_are_estimated_where_there_are_none(head: Head) -> None:
    class Without:
        def __init__(self, distribution: FrameDistribution) -> None:
            self.log_prob, self.sample = distribution.log_prob, distribution.sample

        def marginals(self, temperature: float = 1.0) -> None:
            return None

    distribution = head(features(200))
    shape = (200, 1, head.noise_size)
    exact, estimated = marginals_of(distribution, shape), marginals_of(Without(distribution), shape)
    torch.testing.assert_close(estimated.mean(0), exact.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(estimated, marginals_of(Without(distribution), shape), rtol=0, atol=0)
    assert estimated.min() > 0 and estimated.max() < 1


def test_temperature_divides_log_odds_and_samples_follow_the_noise() -> None:
    log_odds = torch.tensor([[[2.0, -2.0]]])
    distribution = Bernoulli(FeatureSizes(3, 2))(Features(torch.zeros(1, 1, 3), log_odds, log_odds))
    torch.testing.assert_close(distribution.marginals(2.0)[0, 0], torch.sigmoid(torch.tensor([1.0, -1.0])))
    assert distribution.sample(torch.tensor([[[0.8, 0.2]]])).tolist() == [[[1, 0]]]
    assert distribution.sample(torch.tensor([[[0.9, 0.1]]])).tolist() == [[[0, 1]]]


def test_channels_of_a_pitch_share_a_number() -> None:
    log_odds = torch.zeros(1, 1, 4)
    distribution = Bernoulli(FeatureSizes(3, 2, 2))(Features(torch.zeros(1, 1, 3), log_odds, log_odds))
    assert distribution.sample(torch.tensor([[[0.4, 0.6]]])).tolist() == [[[1, 0, 1, 0]]]


def test_log_odds_of_the_output_layer_start_at_rates() -> None:
    output, rates = OutputLayer("bernoulli", SIZES), torch.tensor([0.0, 0.25, 0.5, 1.0])
    output.start_at(rates)
    nn.init.zeros_(output.matrix)
    found = torch.sigmoid(output.log_odds(torch.randn(2, 3)))
    torch.testing.assert_close(found, rates.clamp(1e-4, 1 - 1e-4).expand(2, CELLS))
    assert output.independent_cells() is not None and output.noise_size == CELLS


def test_unknown_heads_are_refused() -> None:
    with pytest.raises(UsageError, match="head must be one of bernoulli, got 'softmax'"):
        OutputLayer("softmax", SIZES)
