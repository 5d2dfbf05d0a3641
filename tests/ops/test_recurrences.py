"""Every cell against its equations, against torch's layer of the same kind, and fused against naive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from musicrnn.errors import UsageError
from musicrnn.ops import CELLS, Cell, State, Weights, cell_named, recurrence
from musicrnn.ops.scan import scan

FUSED = [cell for cell in CELLS.values() if cell.fused]


def make(
    cell: Cell, batch: int, steps: int, inputs: int, hidden: int, peepholes: bool = False
) -> tuple[Tensor, State, Weights]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return (
            torch.randn(*shape, generator=generator, dtype=torch.float64) / shape[-1] ** 0.5
        ).requires_grad_()

    rows = cell.gates * hidden
    weights = Weights(
        draw(rows, inputs), draw(rows, hidden), draw(rows), draw(3, hidden) if peepholes else None
    )
    return draw(batch, steps, inputs), tuple(draw(batch, hidden) for _ in range(cell.states)), weights


def by_hand(name: str, x: Tensor, state: State, weights: Weights) -> np.ndarray:
    """The equations of DESIGN and the papers, gate by gate, frame by frame, in numpy."""
    W, U, b = (tensor.detach().numpy() for tensor in weights[:3])
    p = weights.peepholes.detach().numpy() if weights.peepholes is not None else np.zeros((3, U.shape[1]))
    h, c = state[0].detach().numpy(), state[-1].detach().numpy()
    n = U.shape[1]
    outputs = []

    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    for frame in x.detach().numpy().transpose(1, 0, 2):
        w = [frame @ W[k * n : (k + 1) * n].T + b[k * n : (k + 1) * n] for k in range(len(U) // n)]
        u = [U[k * n : (k + 1) * n].T for k in range(len(U) // n)]
        if name == "tanh":
            h = np.tanh(w[0] + h @ u[0])
        elif name == "gru":
            r, z = sigmoid(w[0] + h @ u[0]), sigmoid(w[1] + h @ u[1])
            h = (1 - z) * h + z * np.tanh(w[2] + (r * h) @ u[2])
        else:
            i = sigmoid(w[0] + h @ u[0] + p[0] * c)
            f = sigmoid(w[1] + h @ u[1] + p[1] * c)
            c = f * c + i * np.tanh(w[2] + h @ u[2])
            h = sigmoid(w[3] + h @ u[3] + p[2] * c) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


@pytest.mark.parametrize(
    ("name", "peepholes"), [("tanh", False), ("gru", False), ("lstm", False), ("lstm", True)]
)
def test_every_cell_follows_its_equations(name: str, peepholes: bool) -> None:
    cell = CELLS[name]
    x, state, weights = make(cell, 3, 9, 5, 4, peepholes)
    outputs, _ = scan(cell, x, state, weights, None)
    np.testing.assert_allclose(
        outputs.detach().numpy(), by_hand(name, x, state, weights), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("name", ["tanh", "lstm"])
def test_cells_that_torch_has_agree_with_torch(name: str) -> None:
    cell = CELLS[name]
    x, state, weights = make(cell, 3, 9, 5, 4)
    layer = {"tanh": torch.nn.RNN, "lstm": torch.nn.LSTM}[name](5, 4, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(
        {
            "weight_ih_l0": weights.input,
            "weight_hh_l0": weights.hidden,
            "bias_ih_l0": weights.bias,
            "bias_hh_l0": torch.zeros_like(weights.bias),
        }
    )
    expected, _ = layer(x, state[0][None] if name == "tanh" else tuple(tensor[None] for tensor in state))
    torch.testing.assert_close(scan(cell, x, state, weights, None)[0], expected)


@pytest.mark.parametrize("cell", FUSED, ids=lambda cell: cell.name)
@pytest.mark.parametrize("batch", [1, 7])
def test_fused_agrees_with_naive_in_outputs_state_and_every_gradient(cell: Cell, batch: int) -> None:
    x, state, weights = make(cell, batch, 63, 12, 100)
    leaves = [x, *state, *(tensor for tensor in weights if tensor is not None)]

    def run(outputs: Tensor, last: State) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        parts = [outputs, *last]
        loss = sum(
            (part * torch.randn(part.shape, generator=generator, dtype=part.dtype)).sum() for part in parts
        )
        return [*parts, *torch.autograd.grad(loss, leaves)]

    assert cell.fused is not None
    naive = run(*scan(cell, x, state, weights, None))
    fused = run(*cell.fused(x, state, weights))
    for expected, found in zip(naive, fused, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", list(CELLS))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    cell = CELLS[name]
    x, state, weights = make(cell, 2, 4, 3, 3, peepholes=cell.peepholes)
    leaves: Sequence[Tensor] = [x, *state, *(tensor for tensor in weights if tensor is not None)]

    def run(*tensors: Tensor) -> Tensor:
        states, rest = tensors[1 : 1 + cell.states], tensors[1 + cell.states :]
        return scan(cell, tensors[0], states, Weights(*rest), None)[0]

    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("name", list(CELLS))
def test_a_mask_freezes_the_state_where_a_row_has_ended(name: str) -> None:
    cell = CELLS[name]
    x, state, weights = make(cell, 2, 6, 3, 4)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    outputs, last = recurrence(cell, x, state, weights, mask)
    short_outputs, short_last = recurrence(cell, x[1:, :4], tuple(s[1:] for s in state), weights)
    torch.testing.assert_close(outputs[1:, :4], short_outputs)
    for found, expected in zip(last, short_last, strict=True):
        torch.testing.assert_close(found[1:], expected)


def test_an_unknown_cell_is_refused_with_the_known_ones_named() -> None:
    with pytest.raises(UsageError, match="tanh, lstm, gru, got 'gruu'"):
        cell_named("gruu")
