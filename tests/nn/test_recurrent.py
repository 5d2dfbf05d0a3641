from __future__ import annotations

import pytest
import torch

from musicrnn.errors import UsageError
from musicrnn.nn import Recurrent

CELLS = ["tanh", "lstm", "gru"]


@pytest.mark.parametrize(
    ("cell", "hidden", "inputs", "expected"),
    [("lstm", 36, 100, 19.8), ("gru", 46, 100, 20.2), ("tanh", 100, 100, 20.1),
     ("lstm", 195, 20, 169.1), ("gru", 227, 20, 168.9), ("tanh", 400, 20, 168.4)],
)  # fmt: skip
def test_parameter_counts_are_those_of_chung_2014_table_1(
    cell: str, hidden: int, inputs: int, expected: float
) -> None:
    layer = Recurrent(cell, inputs, hidden, peepholes=cell == "lstm")
    count = sum(p.numel() for p in layer.parameters()) / 1000
    assert count == pytest.approx(
        expected, abs=0.09
    )  # the paper cuts 20.286 to 20.2 and rounds 169.065 to 169.1


@pytest.mark.parametrize("cell", CELLS)
def test_state_carries_on(cell: str) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell, 5, 4, layers=2)
    x = torch.randn(3, 10, 5)
    whole, last = layer(x)
    first, state = layer(x[:, :6])
    second, state = layer(x[:, 6:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    for found, expected in zip(state, last, strict=True):
        torch.testing.assert_close(found, expected)


def test_dropout_works_in_training_only() -> None:
    layer = Recurrent("gru", 5, 4, dropout=0.5)
    x = torch.ones(1, 50, 5)
    zeros = (layer(x)[0] == 0).float().mean()
    assert 0.3 < zeros < 0.7
    torch.testing.assert_close(layer.eval()(x)[0], layer(x)[0], rtol=0, atol=0)


def test_recurrent_matrices_start_orthogonal_and_forget_gates_open() -> None:
    layer = Recurrent("lstm", 5, 4).layers[0]
    for gate in layer.weight_hh.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))
    assert layer.bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_shape_errors_say_expected_and_got() -> None:
    layer = Recurrent("gru", 5, 4)
    with pytest.raises(ValueError, match=r"x must have shape \(B, T, 5\), got \(2, 3, 6\)"):
        layer(torch.zeros(2, 3, 6))
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3\) \(B, T\), got \(2, 4\)"):
        layer(torch.zeros(2, 3, 5), None, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"shape \(2, 4\) \(B, H\), got \(2, 3\)"):
        layer(torch.zeros(2, 3, 5), [(torch.zeros(2, 3),)])
    with pytest.raises(ValueError, match="state must have 1 layers, got 2"):
        layer(torch.zeros(2, 3, 5), [(torch.zeros(2, 4),)] * 2)


def test_senseless_layers_are_refused() -> None:
    with pytest.raises(UsageError, match="peepholes need a cell with a memory"):
        Recurrent("gru", 5, 4, peepholes=True)
    with pytest.raises(UsageError, match="hidden_size must be at least 1, got 0"):
        Recurrent("gru", 5, 0)
