from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from musicrnn.nn import Recurrent
from musicrnn.nn.parameters import FlatParameters
from musicrnn.training.optimizers import OPTIMIZERS, Optimizer

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


def prepare(model: nn.Module, name: str, *settings: float) -> tuple[Optimizer, Callable[[int, int], None]]:
    """Return an optimizer, and a function that takes its steps from one number to another."""
    parameters = FlatParameters(model.parameters())
    optimizer = OPTIMIZERS[name](parameters, *settings)

    def steps(first: int, last: int) -> None:
        for number in range(first, last):
            parameters.gradients.zero_()
            pass_once(model, number)
            parameters.clip_gradients(1.0)
            optimizer.step(0.02 / (number + 1))

    return optimizer, steps


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@each_optimizer
def test_steps_are_those_of_torch(name: str, weight_decay: float) -> None:
    ours, theirs = network(), network()
    _, steps = prepare(ours, name, 0.8, 0.9, weight_decay)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in theirs.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    expected = TORCH[name](groups, 0.9)
    steps(0, 20)
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
    whole, first, second = network(), network(), network()
    prepare(whole, name)[1](0, 6)
    optimizer, steps = prepare(first, name)
    steps(0, 3)
    second.load_state_dict(first.state_dict())
    following, steps = prepare(second, name)
    following.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(3, 6)
    for expected, found in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_a_state_that_is_another_optimizers_is_refused() -> None:
    state = prepare(network(), "adam")[0].state_dict()
    with pytest.raises(RuntimeError, match="velocity"):
        prepare(network(), "rmsprop")[0].load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        prepare(Recurrent("tanh", 2, 2), "adam")[0].load_state_dict(state)
