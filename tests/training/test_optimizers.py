from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from musicrnn.nn import Recurrent
from musicrnn.training.optimizers import OPTIMIZERS, Adam, Optimizer

TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda groups, decay: torch.optim.Adam(groups, 1.0, (0.8, decay)),
    "adamw": lambda groups, decay: torch.optim.AdamW(groups, 1.0, (0.8, decay)),
    "rmsprop": lambda groups, decay: torch.optim.RMSprop(groups, 1.0, alpha=decay, momentum=0.8),
    "sgd": lambda groups, decay: torch.optim.SGD(groups, 1.0, momentum=0.8),
}

each_optimizer = pytest.mark.parametrize("name", list(OPTIMIZERS))


def network() -> Recurrent:
    torch.manual_seed(0)
    return Recurrent("lstm", 5, 4, layers=2, peepholes=True).double()


def pass_once(model: nn.Module, seed: int) -> None:
    x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(seed)).double()
    model(x)[0].square().sum().backward()


def steps(model: nn.Module, optimizer: Optimizer, first: int, last: int) -> None:
    for number in range(first, last):
        optimizer.gradients.zero_()
        pass_once(model, number)
        optimizer.clip(1.0)
        optimizer.step(0.02 / (number + 1))


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@each_optimizer
def test_steps_are_those_of_torch(name: str, weight_decay: float) -> None:
    ours, theirs = network(), network()
    optimizer = OPTIMIZERS[name](ours.parameters(), 0.8, 0.9, weight_decay)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in theirs.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    expected = TORCH[name](groups, 0.9)
    steps(ours, optimizer, 0, 20)
    for number in range(20):
        expected.zero_grad()
        pass_once(theirs, number)
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        for group in expected.param_groups:
            group["lr"] = 0.02 / (number + 1)
        expected.step()
    start = network().state_dict()
    for key, tensor in theirs.state_dict().items():
        assert not torch.allclose(tensor, start[key])
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=1e-5, atol=1e-6)


@each_optimizer
def test_going_on_from_a_saved_state_gives_the_same_bits(name: str) -> None:
    whole, first = network(), network()
    steps(whole, OPTIMIZERS[name](whole.parameters()), 0, 6)
    optimizer = OPTIMIZERS[name](first.parameters())
    steps(first, optimizer, 0, 3)
    second = network()
    second.load_state_dict(first.state_dict())
    following = OPTIMIZERS[name](second.parameters())
    following.load(copy.deepcopy(optimizer.state()))
    steps(second, following, 3, 6)
    for expected, found in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_a_state_that_is_another_optimizers_is_refused() -> None:
    with pytest.raises(KeyError):
        OPTIMIZERS["rmsprop"](network().parameters()).load(Adam(network().parameters()).state())
    small = Adam(Recurrent("tanh", 2, 2).parameters())
    with pytest.raises(RuntimeError):
        Adam(network().parameters()).load(small.state())


def test_parameters_and_gradients_are_views_of_vectors() -> None:
    model = network()
    optimizer = Adam(model.parameters())
    pass_once(model, 0)
    parameters = list(model.parameters())
    assert torch.equal(optimizer.values, torch.cat([p.detach().flatten() for p in parameters]))
    assert torch.equal(optimizer.gradients, torch.cat([p.grad.flatten() for p in parameters]))
    assert optimizer.gradients.any()
    before = parameters[0].detach().clone()
    optimizer.values.add_(1)
    assert torch.equal(parameters[0], before + 1)


def test_a_weight_that_two_modules_share_is_one_stretch_of_the_vector() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    optimizer = Adam(model.parameters())
    assert optimizer.values.shape == (9 + 3 + 3,)
    assert model[1].weight is model[0].weight


@pytest.mark.parametrize(("limit", "length"), [(0.0, 5.0), (10.0, 5.0), (2.0, 2.0)])
def test_only_gradients_that_are_too_long_are_clipped(limit: float, length: float) -> None:
    optimizer = Adam(nn.Linear(1, 1).parameters())
    optimizer.gradients.copy_(torch.tensor([3.0, 4.0]))
    assert optimizer.clip(limit) == 5.0
    assert optimizer.gradients.norm().item() == pytest.approx(length)
    assert optimizer.gradients[1] / optimizer.gradients[0] == pytest.approx(4 / 3)


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_the_norm_of_a_gradient_that_is_no_number_is_none(value: float) -> None:
    optimizer = Adam(nn.Linear(1, 1).parameters())
    optimizer.gradients[0] = value
    assert not torch.tensor(optimizer.clip(1.0)).isfinite()
