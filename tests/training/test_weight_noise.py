from __future__ import annotations

import pytest
import torch

from musicrnn.nn import Recurrent
from musicrnn.training.weight_noise import weight_noise


def test_matrices_are_disturbed_by_the_given_deviation_and_restored_exactly() -> None:
    torch.manual_seed(0)
    layer = Recurrent("lstm", 60, 50, layers=2, peepholes=True)
    clean = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    with weight_noise(layer, 0.075):
        moved = {name: (p.detach() - clean[name]).std().item() for name, p in layer.named_parameters()}
    for name, deviation in moved.items():
        assert deviation == pytest.approx(0.075 if "weight" in name else 0, rel=0.05), name
    for name, parameter in layer.named_parameters():
        assert torch.equal(parameter, clean[name])


def test_gradients_are_those_of_the_disturbed_weights() -> None:
    torch.manual_seed(0)
    layer, x = Recurrent("tanh", 4, 3), torch.randn(1, 5, 4)
    with weight_noise(layer, 0.5):
        (noisy,) = torch.autograd.grad(layer(x)[0].sum(), layer.layers[0].weight_hh)
        layer(x)[0].sum().backward()
    torch.testing.assert_close(layer.layers[0].weight_hh.grad, noisy)
    (clean,) = torch.autograd.grad(layer(x)[0].sum(), layer.layers[0].weight_hh)
    assert not torch.allclose(clean, noisy)


def test_weights_are_restored_after_an_error_and_zero_noise_draws_nothing() -> None:
    layer = Recurrent("tanh", 4, 3)
    before = layer.layers[0].weight_ih.detach().clone()
    with pytest.raises(RuntimeError), weight_noise(layer, 0.5):
        raise RuntimeError
    assert torch.equal(layer.layers[0].weight_ih, before)
    state = torch.get_rng_state()
    with weight_noise(layer, 0.0):
        pass
    assert torch.equal(torch.get_rng_state(), state)
