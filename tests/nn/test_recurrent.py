from __future__ import annotations

import pytest
import torch

from musicrnn.errors import UsageError
from musicrnn.nn import Recurrent

CELLS = ["tanh", "lstm", "gru", "gru-reset-after", "gru-simplified", "irnn", "scrn"]


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
    with pytest.raises(UsageError, match="context units are the scrn's, got gru"):
        Recurrent("gru", 5, 4, context=2)
    with pytest.raises(UsageError, match=r"context must be at least 1 and below hidden \(4\), got 4"):
        Recurrent("scrn", 5, 4, context=4)
    with pytest.raises(UsageError, match="alpha must be between 0 and 1, got 1"):
        Recurrent("scrn", 5, 4, alpha=1)


@pytest.mark.parametrize(
    "theirs",
    [
        torch.nn.RNN(5, 4, 2, batch_first=True),
        torch.nn.RNN(5, 4, 1, nonlinearity="relu", batch_first=True),
        torch.nn.LSTM(5, 4, 2, batch_first=True, dtype=torch.float64),
        torch.nn.GRU(5, 4, 2, batch_first=True),
        torch.nn.GRU(5, 4, 1, bias=False, batch_first=True),
    ],
    ids=repr,
)
def test_weights_of_torch_layers_give_what_torch_gives(theirs: torch.nn.RNNBase) -> None:
    ours = Recurrent.from_torch(theirs)  # type: ignore[arg-type]
    x = torch.randn(3, 9, 5, dtype=theirs.weight_ih_l0.dtype)
    outputs, last = theirs(x)
    found, state = ours(x)
    torch.testing.assert_close(found, outputs)
    torch.testing.assert_close(state[-1][0], (last[0] if isinstance(last, tuple) else last)[-1])
    again = Recurrent(ours.stack()[0].cell.name, 5, 4, len(ours.layers)).to(x.dtype)
    again.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(again(x)[0], found, rtol=0, atol=0)


def test_torch_layers_of_another_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="torch has no gru; its GRU is gru-reset-after"):
        Recurrent("gru", 5, 4).load_state_dict(torch.nn.GRU(5, 4).state_dict())
    with pytest.raises(UsageError, match="one direction and no projection"):
        Recurrent.from_torch(torch.nn.LSTM(5, 4, bidirectional=True))


def test_the_irnn_starts_as_the_identity() -> None:
    layer = Recurrent("irnn", 5, 4).stack()[0]
    torch.testing.assert_close(layer.weight_hh.detach(), torch.eye(4))
    assert layer.weight_ih.abs().max() < 0.01


@pytest.mark.parametrize("learned", [False, True])
def test_context_units_decay_slowly_and_alpha_is_learned_if_told(learned: bool) -> None:
    layer = Recurrent("scrn", 5, 8, context=3, alpha=0.9, learn_alpha=learned)
    y, _ = layer(torch.zeros(1, 2, 5), [(torch.ones(1, 8),)])
    torch.testing.assert_close(y[0, :, 5:].detach(), torch.tensor([[0.9] * 3, [0.81] * 3]))
    y.sum().backward()
    logit = layer.stack()[0].alpha_logit
    assert (logit is not None and logit.grad is not None and bool((logit.grad != 0).all())) == learned


@pytest.mark.parametrize("cell", CELLS)
def test_a_mask_stands_for_variable_lengths(cell: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(cell, 5, 4, layers=2), torch.randn(2, 6, 5)
    _, state = layer(x, None, torch.tensor([[True] * 6, [True] * 4 + [False] * 2]))
    _, short = layer(x[1:, :4])
    for found, expected in zip(state, short, strict=True):
        torch.testing.assert_close(tuple(part[1:] for part in found), expected)
