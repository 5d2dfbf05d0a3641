"""Every cell against its equations written out by hand, and against torch's layer of the same kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musicrnn.ops import CELLS, Weights
from tests.ops.cases import Case, Variant, Way, assert_close, both_ways, each_cell, forward, make, naive


def sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def by_hand(case: Case) -> tuple[np.ndarray, ...]:
    """The equations of the papers, gate by gate, frame by frame, in numpy: outputs and last state."""
    name, (W, U, b) = case.cell.name, (tensor.detach().numpy() for tensor in case.weights[:3])
    n, rows = U.shape[1], len(U) // case.cell.gates
    p = np.zeros((3, n)) if case.weights.peepholes is None else case.weights.peepholes.detach().numpy()
    state = [tensor.detach().numpy() for tensor in case.state]
    h, c = state[0], state[-1]
    outputs = []
    for frame in case.inputs.detach().numpy().transpose(1, 0, 2):
        w = [frame @ W[k * n : (k + 1) * n].T + b[k * n : (k + 1) * n] for k in range(len(W) // n)]
        u = [U[k * rows : (k + 1) * rows].T for k in range(case.cell.gates)]
        if name == "tanh":
            h = np.tanh(w[0] + h @ u[0])
        elif name == "irnn":
            h = np.maximum(0, w[0] + h @ u[0])
        elif name == "gru":
            r, z = sigmoid(w[0] + h @ u[0]), sigmoid(w[1] + h @ u[1])
            h = (1 - z) * h + z * np.tanh(w[2] + (r * h) @ u[2])
        elif name == "gru-reset-after":
            r, z = sigmoid(w[0] + h @ u[0]), sigmoid(w[1] + h @ u[1])
            h = (1 - z) * np.tanh(w[2] + r * (h @ u[2] + b[3 * n :])) + z * h
        elif name == "gru-simplified":
            z = sigmoid(w[0] + h @ u[0])
            h = (1 - z) * h + z * np.tanh(w[1] + h @ u[1])
        elif name == "scrn":
            assert case.weights.alpha is not None
            a = case.weights.alpha.detach().numpy()
            s = (1 - a) * w[0][:, rows:] + a * h[:, rows:]
            h = np.hstack([sigmoid(w[0][:, :rows] + h[:, :rows] @ u[0][:rows] + s @ u[0][rows:]), s])
        else:
            i = sigmoid(w[0] + h @ u[0] + p[0] * c)
            f = sigmoid(w[1] + h @ u[1] + p[1] * c)
            c = f * c + i * np.tanh(w[2] + h @ u[2])
            h = sigmoid(w[3] + h @ u[3] + p[2] * c) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1), *(h, c)[: len(state)]


@each_cell
def test_every_cell_follows_its_equations(variant: Variant) -> None:
    case = make(variant)
    outputs, last = naive(case)
    for found, expected in zip((outputs, *last), by_hand(case), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-14)


LAYERS = {
    "tanh": torch.nn.RNN,
    "lstm": torch.nn.LSTM,
    "gru-reset-after": torch.nn.GRU,
    "irnn": lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="relu", **options),
}


@pytest.mark.parametrize("name", list(LAYERS))
@both_ways
def test_cells_that_torch_has_agree_with_torch(name: str, way: Way) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name](5, 4, batch_first=True, dtype=torch.float64)
    W, U, b, b_u = (parameter.detach() for parameter in layer.parameters())
    bias = torch.cat([(b + b_u)[:8], b[8:], b_u[8:]]) if name == "gru-reset-after" else b + b_u
    case = make(Variant(CELLS[name]), width=5, hidden=4)
    case = Case(case.cell, case.inputs, case.state, Weights(W, U, bias))
    start = tuple(tensor[None] for tensor in case.state)
    outputs, last = layer(case.inputs, start if name == "lstm" else start[0])
    last = last if name == "lstm" else (last,)
    expected = {"outputs": outputs, **{f"last state {k}": tensor[0] for k, tensor in enumerate(last)}}
    assert_close(forward(way, case), expected, 1e-13)
