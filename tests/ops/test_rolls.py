"""Piano rolls by their active cells, and inputs that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from musicrnn.ops import CELLS, choices
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
@pytest.mark.parametrize("ones", ["none", "all that may be", "one more", "all"])
def test_frames_of_any_density_agree(variant: Variant, ones: str) -> None:
    most = choices.most_active(WIDTH)
    number = {"none": 0, "all that may be": most, "one more": most + 1, "all": WIDTH}[ones]
    frame = torch.zeros(WIDTH)
    frame[torch.randperm(WIDTH, generator=torch.Generator().manual_seed(0))[:number]] = 1
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
    ("value", "ones", "way"), [(1.0, 14, []), (1.0, 15, ["dense"]), (0.5, 1, ["dense"]), (-0.0, 88, [])]
)
def test_only_sparse_rolls_are_summed_column_by_column(
    ways: list[str], value: float, ones: int, way: list[str]
) -> None:
    assert choices.most_active(WIDTH) == 14
    frame = torch.zeros(WIDTH)
    frame[:ones] = value
    fused(with_frame(make(Variant(CELLS["tanh"]), 3, 9, WIDTH, 10, roll=True), frame))
    assert ways == way


@each_cell
def test_a_roll_that_needs_a_gradient_gets_one(variant: Variant) -> None:
    case = make(variant, 3, 9, WIDTH, 10, roll=True)
    case.inputs.requires_grad_()
    assert_close(results(fused, case), results(naive, case), LIMITS[torch.float64])
