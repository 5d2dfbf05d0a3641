"""Memory that kernels use again: nothing is read before it is written, nothing is shared while in use."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tests.ops.cases import (
    Case,
    Variant,
    assert_same_bits,
    backward,
    each_cell,
    forward,
    fused,
    make,
    poisoned,
    ragged,
    results,
    rolls_and_dense,
    threads,
)


def example(variant: Variant, roll: bool) -> Case:
    return replace(make(variant, 5, 11, 88, 13, roll, torch.float32), mask=ragged(5, 11))


@each_cell
@rolls_and_dense
def test_nothing_is_read_before_it_is_written(variant: Variant, roll: bool) -> None:
    case = example(variant, roll)
    with threads(2):
        expected, plain = results(fused, case), forward(fused, case.detach())
        with poisoned():
            assert_same_bits(results(fused, case), expected)
            assert_same_bits(forward(fused, case.detach()), plain)


@each_cell
@rolls_and_dense
def test_a_graph_that_is_kept_gives_its_gradients_twice(variant: Variant, roll: bool) -> None:
    case = example(variant, roll)
    parts = forward(fused, case)
    first = backward(parts, case, keep=True)
    assert_same_bits(backward(parts, case), first)


@each_cell
@rolls_and_dense
def test_a_second_forward_pass_leaves_the_first_alone(variant: Variant, roll: bool) -> None:
    case = example(variant, roll)
    other = case.change(lambda tensor: tensor.flip(0))
    expected, expected_other = results(fused, case), results(fused, other)
    first = forward(fused, case)
    second = forward(fused, other)
    forward(fused, other.detach())
    assert_same_bits(backward(first, case), expected)
    assert_same_bits(backward(second, other), expected_other)


@each_cell
def test_a_layer_may_feed_another_of_its_kind(variant: Variant) -> None:
    case = make(variant, 3, 9, 13, 13)

    def stacked(bottom: Case) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs, _ = fused(bottom)
        return fused(replace(bottom, inputs=outputs))

    expected = results(stacked, case)
    for _ in range(2):  # now in buffers that others have used
        results(fused, make(variant, 4, 10, 13, 13))
        assert_same_bits(results(stacked, case), expected)
