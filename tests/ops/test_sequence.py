"""Kernels give the same bits in every run, on any number of threads and in any batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.ops.cases import (
    Case,
    Variant,
    assert_same_bits,
    each_cell,
    forward,
    fused,
    make,
    ragged,
    results,
    rolls_and_dense,
    threads,
)


def example(variant: Variant, roll: bool) -> Case:
    case = make(variant, 7, 40, 88, 46, roll, torch.float32)
    return replace(case, mask=ragged(7, 40))


@each_cell
@rolls_and_dense
@pytest.mark.parametrize("number", [1, 2])
def test_the_same_bits_run_after_run(variant: Variant, roll: bool, number: int) -> None:
    case = example(variant, roll)
    with threads(number):
        first = results(fused, case)
        for _ in range(3):
            assert_same_bits(results(fused, case), first)


@each_cell
@rolls_and_dense
def test_the_same_bits_for_any_number_of_threads(variant: Variant, roll: bool) -> None:
    case = example(variant, roll)
    found = {}
    for number in (1, 2, 3):
        with threads(number):
            found[number] = forward(fused, case)
    assert_same_bits(found[2], found[1])
    assert_same_bits(found[3], found[1])


@each_cell
@rolls_and_dense
def test_the_same_bits_for_a_row_alone_and_in_a_batch(variant: Variant, roll: bool) -> None:
    case = example(variant, roll)
    together = forward(fused, case)
    for row in (slice(0, 1), slice(3, 4), slice(1, 6)):
        assert_same_bits(forward(fused, case.rows(row)), {k: tensor[row] for k, tensor in together.items()})


@each_cell
@rolls_and_dense
def test_the_same_bits_with_gradients_and_without(variant: Variant, roll: bool) -> None:
    case = example(variant, roll)
    expected = forward(fused, case)
    # inputs that may be listed by their cells are not looked at where they need a gradient
    plain = case.detach() if roll else case.change(torch.clone).with_leaves(lambda name: name == "inputs")
    assert_same_bits(forward(fused, plain), expected)
    with torch.no_grad():
        assert_same_bits(forward(fused, case), expected)


@each_cell
@rolls_and_dense
def test_the_same_bits_frame_by_frame(variant: Variant, roll: bool) -> None:
    case = replace(example(variant, roll), mask=None)
    whole = forward(fused, case)
    state, outputs = case.state, []
    for t in range(case.inputs.shape[1]):
        output, state = fused(replace(case, inputs=case.inputs[:, t : t + 1], state=state))
        outputs.append(output)
    last: dict[str, Tensor] = {f"last state {number}": tensor for number, tensor in enumerate(state)}
    assert_same_bits({"outputs": torch.cat(outputs, 1), **last}, whole)
