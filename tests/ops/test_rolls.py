"""Piano rolls by their active cells, and other inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from musicrnn.ops import CELLS
from tests.ops.cases import LIMITS, Case, Variant, assert_close, each_cell, fused, make, naive, results

WIDTH = 88


def with_frame(case: Case, frame: torch.Tensor) -> Case:
    """Put a frame at the end of the last row, where it is found last."""
    inputs = case.inputs.clone()
    inputs[-1, -1] = frame.to(inputs.dtype)
    return replace(case, inputs=inputs)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record by which way kernels get their inputs: ``torch.addmm`` is for dense ones only."""
    taken: list[str] = []
    addmm = torch.addmm

    def spy(*arguments: object, **options: object) -> object:
        taken.append("dense")
        return addmm(*arguments, **options)

    monkeypatch.setattr(torch, "addmm", spy)
    return taken


@each_cell
@pytest.mark.parametrize("ones", [0, 1, 15, WIDTH])
def test_frames_of_any_density_agree(variant: Variant, ones: int) -> None:
    frame = torch.zeros(WIDTH)
    frame[torch.randperm(WIDTH, generator=torch.Generator().manual_seed(0))[:ones]] = 1
    case = with_frame(make(variant, 3, 9, WIDTH, 10, roll=True), frame)
    assert_close(results(fused, case), results(naive, case), LIMITS[torch.float64])


@each_cell
@pytest.mark.parametrize("value", [0.5, -1.0, 1 + 2**-20])
def test_numbers_that_are_neither_zero_nor_one_agree(variant: Variant, value: float) -> None:
    frame = torch.zeros(WIDTH)
    frame[WIDTH - 1] = value
    case = with_frame(make(variant, 3, 9, WIDTH, 10, roll=True), frame)
    assert_close(results(fused, case), results(naive, case), LIMITS[torch.float64])


@pytest.mark.parametrize(
    ("value", "number", "way"), [(1.0, 6, []), (1.0, 7, ["dense"]), (0.5, 6, []), (-0.0, 36, [])]
)
def test_inputs_are_summed_by_columns_if_at_most_a_sixth_is_nonzero(
    ways: list[str], value: float, number: int, way: list[str]
) -> None:
    case = make(Variant(CELLS["tanh"]), 1, 6, 6, 10)
    inputs = torch.zeros(36, dtype=torch.float64)
    inputs[:number] = value
    fused(replace(case, inputs=inputs.view(1, 6, 6)))
    assert ways == way


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_and_infinity_reach_every_later_output(value: float) -> None:
    case = make(Variant(CELLS["irnn"]), 2, 6, WIDTH, 10, roll=True)
    inputs = case.inputs.clone()
    inputs[0, 3, 5] = value
    case = replace(case, inputs=inputs)
    assert torch.equal(fused(case)[0].isfinite(), naive(case)[0].isfinite())


@each_cell
def test_a_roll_that_needs_a_gradient_gets_one(variant: Variant) -> None:
    case = make(variant, 3, 9, WIDTH, 10, roll=True)
    case.inputs.requires_grad_()
    assert_close(results(fused, case), results(naive, case), LIMITS[torch.float64])
