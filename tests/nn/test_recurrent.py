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


def test_impossible_layers_are_refused() -> None:
    with pytest.raises(UsageError, match="peepholes need a cell with a memory"):
        Recurrent("gru", 5, 4, peepholes=True)
    with pytest.raises(UsageError, match="hidden must be at least 1, got 0"):
        Recurrent("gru", 5, 0)
    with pytest.raises(UsageError, match="context units are the scrn's, got gru"):
        Recurrent("gru", 5, 4, context=2)
    with pytest.raises(UsageError, match=r"context must be at least 1 and below hidden \(4\), got 4"):
        Recurrent("scrn", 5, 4, context=4)
    with pytest.raises(UsageError, match="alpha must be above 0 and below 1, got 1"):
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


def test_residual_connections_add_what_a_layer_hears_to_what_it_says() -> None:
    torch.manual_seed(0)
    stack, x = Recurrent("gru", 5, 4, layers=3, connections="residual"), torch.randn(2, 6, 5)
    zeros = (torch.zeros(2, 4),)
    first, second, third = stack.stack()
    y = first(x, zeros)[0]
    y = y + second(y, zeros)[0]
    torch.testing.assert_close(stack(x)[0], y + third(y, zeros)[0])


def test_with_skip_connections_layers_hear_the_input_and_the_output_is_that_of_all() -> None:
    torch.manual_seed(0)
    stack, x = Recurrent("gru", 5, 4, layers=2, connections="skip"), torch.randn(2, 6, 5)
    zeros = (torch.zeros(2, 4),)
    first, second = stack.stack()
    y = first(x, zeros)[0]
    both = torch.cat([y, second(torch.cat([y, x], 2), zeros)[0]], 2)
    torch.testing.assert_close(stack(x)[0], both)
    assert stack.output_size == 8 and second.weight_ih.shape == (12, 9)


@pytest.mark.parametrize("connections", ["plain", "residual", "skip"])
def test_layer_normalisation_gives_every_output_mean_zero_and_variance_one(connections: str) -> None:
    torch.manual_seed(0)
    stack = Recurrent("gru", 5, 16, layers=2, connections=connections, layer_norm=True)
    received: list[torch.Tensor] = []
    stack.stack()[1].register_forward_pre_hook(lambda layer, inputs: received.append(inputs[0]))
    output, _ = stack(torch.randn(2, 6, 5))
    for values in (output, received[0][..., :16]):
        torch.testing.assert_close(values.mean(2), torch.zeros(2, 6), rtol=0, atol=1e-5)
        torch.testing.assert_close(values.var(2, unbiased=False), torch.ones(2, 6), rtol=0, atol=2e-3)


@pytest.mark.parametrize("connections", ["residual", "skip"])
def test_state_carries_on_through_connections_and_norms(connections: str) -> None:
    torch.manual_seed(0)
    stack = Recurrent("lstm", 5, 4, layers=3, connections=connections, layer_norm=True)
    x = torch.randn(3, 10, 5)
    whole, _ = stack(x)
    first, state = stack(x[:, :6])
    torch.testing.assert_close(torch.cat([first, stack(x[:, 6:], state)[0]], 1), whole)


def test_variational_dropout_has_one_mask_for_all_frames_of_a_sequence() -> None:
    torch.manual_seed(0)
    stack, x = Recurrent("gru", 5, 64, dropout=0.5, variational_dropout=True), torch.ones(3, 20, 5)
    dropped = stack(x)[0] == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert 0.3 < dropped.float().mean() < 0.7 and not torch.equal(dropped[0], dropped[1])
    kept = ~dropped[:, 0]
    clean = stack.eval()(x)[0]
    torch.manual_seed(0)
    again = Recurrent("gru", 5, 64, dropout=0.5, variational_dropout=True)
    torch.testing.assert_close(again(x)[0][:, -1][kept], 2 * clean[:, -1][kept])


def test_ordinary_dropout_has_a_mask_for_every_frame() -> None:
    torch.manual_seed(0)
    dropped = Recurrent("gru", 5, 64, dropout=0.5)(torch.ones(3, 20, 5))[0] == 0
    assert not torch.equal(dropped[:, 0], dropped[:, 1])


def test_weight_dropout_drops_recurrent_weights_once_a_pass_and_in_training_only() -> None:
    torch.manual_seed(0)
    stack = Recurrent("gru", 5, 40, layers=2, weight_dropout=0.5)
    for layer in stack.stack():
        hidden = layer.weights().hidden
        assert 0.4 < (hidden == 0).float().mean() < 0.6
        kept = hidden != 0
        torch.testing.assert_close(hidden[kept], 2 * layer.weight_hh[kept])
        assert layer.weights().input is layer.weight_ih and layer.weights().bias is layer.bias
    x = torch.randn(2, 3, 5)
    assert not torch.allclose(stack(x)[0], stack(x)[0])
    stack.eval()
    torch.testing.assert_close(stack(x)[0], stack(x)[0], rtol=0, atol=0)
    for layer in stack.stack():
        assert torch.equal(layer.weights().hidden, layer.weight_hh)
