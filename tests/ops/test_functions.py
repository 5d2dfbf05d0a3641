"""Sigmoid and tanh of kernels are right to the last few bits, tested by cells without a recurrence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from musicrnn.ops import CELLS, Weights
from tests.ops.cases import Case, Way, fused, naive

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def function(name: str, x: Tensor, way: Way = fused) -> Tensor:
    """Apply a cell to numbers, one a sequence of one frame: with U = 0 its output is a function of W x."""
    weights = {
        "tanh": Weights(x.new_ones(1, 1), x.new_zeros(1, 1), x.new_zeros(1)),
        "irnn": Weights(x.new_ones(1, 1), x.new_zeros(1, 1), x.new_zeros(1)),
        # a fast unit, and a slow one without effect
        "scrn": Weights(x.new_tensor([[1], [0]]), x.new_zeros(1, 2), x.new_zeros(2), alpha=x.new_zeros(1)),
    }[name]
    state = (x.new_zeros(len(x), len(weights.input)),)
    return way(Case(CELLS[name], x[:, None, None], state, weights))[0][:, 0, 0]


def numbers(dtype: torch.dtype) -> Tensor:
    small = torch.logspace(-30, 0, 500, dtype=dtype)
    return torch.cat([-small, small, torch.linspace(-60, 60, 6001, dtype=dtype)])


@DTYPES
@pytest.mark.parametrize(("name", "exact"), [("tanh", torch.tanh), ("scrn", torch.sigmoid)])
def test_functions_are_right_to_the_last_few_bits(name: str, exact: object, dtype: torch.dtype) -> None:
    x = numbers(dtype)
    expected = exact(x.double())
    off = (function(name, x).double() - expected).abs() / expected.abs().clamp_min(1e-300)
    assert off.max() <= 2 * torch.finfo(dtype).eps


@DTYPES
@pytest.mark.parametrize("name", ["tanh", "scrn", "irnn"])
def test_functions_of_nan_and_infinity(name: str, dtype: torch.dtype) -> None:
    most = torch.finfo(dtype).max
    x = torch.tensor([-torch.inf, -most, -0.0, most, torch.inf, torch.nan], dtype=dtype)
    expected = function(name, x, naive)
    torch.testing.assert_close(function(name, x), expected, rtol=0, atol=1e-30, equal_nan=True)
