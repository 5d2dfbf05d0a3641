from __future__ import annotations

import pytest
import torch
from torch import nn

from musicrnn.nn import Recurrent
from musicrnn.nn.parameters import FlatParameters


def test_parameters_and_gradients_are_views_of_vectors() -> None:
    model = Recurrent("lstm", 5, 4, layers=2, peepholes=True)
    parameters = FlatParameters(model.parameters())
    model(torch.randn(3, 7, 5))[0].square().sum().backward()
    assert torch.equal(parameters.values, torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(parameters.gradients, torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert parameters.gradients.any()
    before = parameters.views[0].detach().clone()
    parameters.values.add_(1)
    assert torch.equal(next(model.parameters()), before + 1)


def test_a_weight_that_two_modules_share_is_in_the_vector_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert FlatParameters(model.parameters()).values.shape == (9 + 3 + 3,)
    assert model[1].weight is model[0].weight


def test_neighbours_share_a_span() -> None:
    parameters = FlatParameters(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)).parameters())
    first, bias, second, _ = parameters.views
    assert parameters.spans([first, bias]) == [slice(0, 8)]
    assert parameters.spans([first, second]) == [slice(0, 6), slice(8, 10)]


@pytest.mark.parametrize(("limit", "length"), [(0.0, 5.0), (10.0, 5.0), (2.0, 2.0)])
def test_only_gradients_above_the_limit_are_clipped(limit: float, length: float) -> None:
    parameters = FlatParameters(nn.Linear(1, 1).parameters())
    parameters.gradients.copy_(torch.tensor([3.0, 4.0]))
    assert parameters.clip_gradients(limit) == 5.0
    assert parameters.gradients.norm().item() == pytest.approx(length)
    assert parameters.gradients[1] / parameters.gradients[0] == pytest.approx(4 / 3)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_the_norm_of_a_gradient_that_is_not_finite_is_not_finite(value: float) -> None:
    parameters = FlatParameters(nn.Linear(1, 1).parameters())
    parameters.gradients[0] = value
    assert not torch.tensor(parameters.clip_gradients(1.0)).isfinite()
