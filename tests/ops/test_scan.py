"""Masks, step by step and in kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.ops.cases import (
    Variant,
    Way,
    assert_close,
    assert_same_bits,
    both_ways,
    each_cell,
    forward,
    make,
    ragged,
    results,
    rolls_and_dense,
)


@each_cell
@both_ways
@rolls_and_dense
def test_a_mask_freezes_the_state_where_a_row_has_ended(variant: Variant, way: Way, roll: bool) -> None:
    case = make(variant, 4, 12, 88, 10, roll)
    found = forward(way, replace(case, mask=torch.arange(12) < torch.tensor([12, 9, 1, 0])[:, None]))
    for row, length in enumerate((12, 9, 1)):
        alone = case.rows(slice(row, row + 1))
        short = forward(way, replace(alone, inputs=alone.inputs[:, :length]))
        alike = {name: tensor[row : row + 1] for name, tensor in found.items()}
        held = alike["last state 0"][:, None].expand(-1, 12 - length, -1)
        assert torch.equal(alike["outputs"][:, length:], held)
        assert_close({**alike, "outputs": alike["outputs"][:, :length]}, short, 1e-13)
    assert torch.equal(found["outputs"][3], case.state[0][3].expand(12, -1))
    for number, tensor in enumerate(case.state):
        assert torch.equal(found[f"last state {number}"][3], tensor[3])


@each_cell
@both_ways
def test_holes_in_a_mask_leave_the_frames_around_them(variant: Variant, way: Way) -> None:
    case = make(variant, 1, 12, hidden=10)
    mask = ragged(1, 12)
    found = forward(way, replace(case, mask=mask))
    packed = forward(way, replace(case, inputs=case.inputs[:, mask[0]]))
    held = found["outputs"].clone()
    found["outputs"] = held[:, mask[0]]
    assert 0 < mask.sum() < 12
    assert_close(found, packed, 1e-13)
    for t in range(1, 12):
        if not mask[0, t]:
            assert torch.equal(held[0, t], held[0, t - 1])


@each_cell
@both_ways
@pytest.mark.parametrize("filling", [0.0, 7.5])
def test_what_is_under_the_mask_changes_nothing(variant: Variant, way: Way, filling: float) -> None:
    case = replace(make(variant, 4, 12, hidden=10), mask=ragged(4, 12))
    filled = case.inputs.detach().clone()
    filled[~case.mask] = filling
    found = results(way, replace(case, inputs=filled.requires_grad_()))
    assert not found["gradient of inputs"][~case.mask].any()
    assert_close(found, results(way, case), 1e-13)


@each_cell
@both_ways
def test_a_mask_of_real_frames_is_no_mask(variant: Variant, way: Way) -> None:
    case = make(variant, hidden=10)
    assert_same_bits(results(way, replace(case, mask=torch.ones(3, 9, dtype=torch.bool))), results(way, case))
