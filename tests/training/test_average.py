from __future__ import annotations

import pytest
import torch

from musicrnn.training.average import Average


def test_polyaks_average_is_the_mean_of_all_weights() -> None:
    weights = torch.randn(7, 5)
    average = Average(weights[0], "polyak")
    for values in weights:
        average.update(values)
    torch.testing.assert_close(average.values, weights.mean(0))


def test_the_exponential_average_weighs_by_age_and_is_corrected_for_its_start() -> None:
    weights, decay = torch.randn(7, 5), 0.8
    average = Average(weights[0], "ema", decay)
    for values in weights:
        average.update(values)
    shares = decay ** torch.arange(6, -1, -1.0)
    torch.testing.assert_close(average.values, (shares[:, None] * weights).sum(0) / shares.sum())
    alone = Average(weights[0], "ema", decay)
    alone.update(weights[0])
    torch.testing.assert_close(alone.values, weights[0])


def test_it_replaces_the_weights_and_restores_them() -> None:
    values = torch.tensor([1.0, 2.0])
    average = Average(values, "polyak")
    average.update(values)
    average.update(3 * values)
    with pytest.raises(RuntimeError), average.applied(values):
        assert values.tolist() == [2.0, 4.0]
        raise RuntimeError
    assert values.tolist() == [1.0, 2.0]


def test_without_average_no_weights_are_kept_or_changed() -> None:
    values = torch.tensor([1.0, 2.0])
    average = Average(values)
    average.update(values)
    assert average.values.numel() == 0
    with average.applied(values):
        assert values.tolist() == [1.0, 2.0]


def test_going_on_from_a_saved_state_gives_the_same_bits() -> None:
    weights = torch.randn(6, 4)
    whole, first, second = (Average(weights[0], "ema", 0.9) for _ in range(3))
    for values in weights:
        whole.update(values)
    for values in weights[:3]:
        first.update(values)
    second.load_state_dict(first.state_dict())
    for values in weights[3:]:
        second.update(values)
    assert torch.equal(whole.values, second.values)
