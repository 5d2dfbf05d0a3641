"""Every cell on a GPU gives what its equations give on a CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from musicrnn.ops import State, recurrence
from tests.ops.cases import (
    Case,
    Variant,
    assert_close,
    each_cell,
    make,
    naive,
    ragged,
    results,
    rolls_and_dense,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def on_gpu(case: Case) -> tuple[Tensor, State]:
    """Run there and bring back what comes out; gradients find their own way."""
    there = [tensor if tensor is None else tensor.cuda() for tensor in case.weights]
    mask = None if case.mask is None else case.mask.cuda()
    state = tuple(tensor.cuda() for tensor in case.state)
    outputs, last = recurrence(case.cell, case.inputs.cuda(), state, type(case.weights)(*there), mask)
    assert outputs.is_cuda
    return outputs.cpu(), tuple(tensor.cpu() for tensor in last)


@each_cell
@rolls_and_dense
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_a_gpu_agrees_with_the_equations(variant: Variant, roll: bool, masked: bool) -> None:
    case = make(variant, 7, 63, 88, 100, roll)
    case = replace(case, mask=ragged(7, 63) if masked else None)
    assert_close(results(on_gpu, case), results(naive, case), 1e-10)
