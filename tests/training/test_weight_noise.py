from __future__ import annotations

import numpy as np
import pytest
import torch

from musicrnn.nn import Recurrent
from musicrnn.nn.parameters import FlatParameters
from musicrnn.training.weight_noise import WeightNoise


def noisy(layer: Recurrent, deviation: float, adaptive: bool = False) -> tuple[WeightNoise, FlatParameters]:
    noise = WeightNoise(layer, deviation, adaptive)
    return noise, FlatParameters([*layer.parameters(), *noise.parameters()])


@pytest.mark.parametrize("adaptive", [False, True])
def test_matrices_are_disturbed_by_the_given_deviation_and_restored_exactly(adaptive: bool) -> None:
    torch.manual_seed(0)
    layer = Recurrent("lstm", 60, 50, layers=2, peepholes=True)
    clean = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    noise, parameters = noisy(layer, 0.075, adaptive)
    with noise.applied(parameters, np.random.default_rng(0)):
        moved = {name: (p.detach() - clean[name]).std().item() for name, p in layer.named_parameters()}
    for name, deviation in moved.items():
        assert deviation == pytest.approx(0.075 if "weight" in name else 0, rel=0.05), name
    for name, parameter in layer.named_parameters():
        assert torch.equal(parameter, clean[name])


def test_gradients_are_those_of_the_disturbed_weights() -> None:
    torch.manual_seed(0)
    layer, x = Recurrent("tanh", 4, 3), torch.randn(1, 5, 4)
    noise, parameters = noisy(layer, 0.5)
    with noise.applied(parameters, np.random.default_rng(0)):
        (disturbed,) = torch.autograd.grad(layer(x)[0].sum(), layer.layers[0].weight_hh)
        layer(x)[0].sum().backward()
    torch.testing.assert_close(layer.layers[0].weight_hh.grad, disturbed)
    (clean,) = torch.autograd.grad(layer(x)[0].sum(), layer.layers[0].weight_hh)
    assert not torch.allclose(clean, disturbed)


def test_weights_are_restored_after_an_error_and_zero_noise_draws_nothing() -> None:
    layer = Recurrent("tanh", 4, 3)
    before = layer.layers[0].weight_ih.detach().clone()
    noise, parameters = noisy(layer, 0.5)
    with pytest.raises(RuntimeError), noise.applied(parameters, np.random.default_rng(0)):
        raise RuntimeError
    assert torch.equal(layer.layers[0].weight_ih, before)
    source = np.random.default_rng(0)
    state = source.bit_generator.state
    none, parameters = noisy(layer, 0.0)
    with none.applied(parameters, source):
        pass
    assert source.bit_generator.state == state


def test_deviations_get_the_gradient_of_the_description_length() -> None:
    """The loss as one differentiable expression of means and deviations, for the same noise."""
    frames = 7
    torch.manual_seed(0)
    layer, x = Recurrent("tanh", 4, 3), torch.randn(1, 5, 4)
    noise, parameters = noisy(layer, 0.3, adaptive=True)
    assert noise.log_deviation is not None and noise.log_deviation.shape == (3 * 4 + 3 * 3,)
    parameters.gradients.zero_()
    with noise.applied(parameters, np.random.default_rng(0)):
        layer(x)[0].square().sum().backward()
    noise.add_gradients(parameters, frames)

    torch.manual_seed(0)
    fresh = Recurrent("tanh", 4, 3)
    unit = torch.from_numpy(np.random.default_rng(0).standard_normal(21, np.float32))
    logs = torch.full((21,), 0.3).log().requires_grad_()
    means = torch.cat([fresh.layers[0].weight_ih.flatten(), fresh.layers[0].weight_hh.flatten()])
    means = means.detach().requires_grad_()
    sample = (means + logs.exp() * unit).split([12, 9])
    weights = {"layers.0.weight_ih": sample[0].view(3, 4), "layers.0.weight_hh": sample[1].view(3, 3)}
    outputs, _ = torch.func.functional_call(fresh, weights, (x,))
    prior = ((2 * logs).exp() + (means - means.mean()) ** 2).mean()
    lengths = prior.log() / 2 - logs + ((2 * logs).exp() + (means - means.mean()) ** 2) / (2 * prior) - 0.5
    (outputs.square().sum() + lengths.sum() / frames).backward()
    assert noise.log_deviation.grad is not None
    torch.testing.assert_close(noise.log_deviation.grad, logs.grad)
    torch.testing.assert_close(layer.layers[0].weight_hh.grad, means.grad[12:].view(3, 3))
    torch.testing.assert_close(layer.layers[0].weight_ih.grad, means.grad[:12].view(3, 4))
