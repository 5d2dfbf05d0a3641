"""The kernel of every cell against its equations: outputs, last state and every gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from musicrnn.ops import Weights
from tests.ops.cases import (
    LIMITS,
    Variant,
    assert_close,
    backward,
    each_cell,
    forward,
    fused,
    make,
    naive,
    ragged,
    results,
    rolls_and_dense,
    threads,
)


@each_cell
@pytest.mark.parametrize("batch", [1, 7])
@rolls_and_dense
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_fused_agrees_with_naive_in_outputs_state_and_every_gradient(
    variant: Variant, batch: int, roll: bool, masked: bool
) -> None:
    case = make(variant, batch, 63, 88, 100, roll)
    case = replace(case, mask=ragged(batch, 63) if masked else None)
    expected = results(naive, case)
    assert ("gradient of inputs" in expected) != roll
    for dtype, limit in LIMITS.items():
        changed = case.change(lambda tensor, to=dtype: tensor.to(to))
        for number in (1, 2)[:batch]:
            with threads(number):
                assert_close(results(fused, changed), expected, limit)


@each_cell
def test_long_sequences_lose_no_precision(variant: Variant) -> None:
    case = make(variant, 2, 2000, 88, 46, roll=True)
    found = results(fused, case.change(Tensor.float))
    case.inputs.requires_grad_()
    expected = results(naive, case)
    assert_close(results(fused, case.change(Tensor.float)), expected, LIMITS[torch.float32])
    del expected["gradient of inputs"]
    assert_close(found, expected, LIMITS[torch.float32])


@each_cell
def test_sizes_that_fill_no_vector_and_no_tile(variant: Variant) -> None:
    for batch, hidden, width in [
        (1, 2, 1),
        (2, 7, 6),
        (3, 8, 7),
        (5, 9, 13),
        (9, 16, 3),
        (16, 17, 2),
        (1, 50, 5),
    ]:
        for roll in (False, True):
            case = make(variant, batch, 3, width, hidden, roll)
            expected = results(naive, case)
            for dtype, limit in LIMITS.items():
                changed = case.change(lambda tensor, to=dtype: tensor.to(to))
                assert_close(results(fused, changed), expected, limit)


@each_cell
def test_gradients_are_those_of_finite_differences(variant: Variant) -> None:
    case = replace(make(variant, 2, 3, 2, 3), mask=torch.tensor([[True, True, True], [True, False, True]]))
    states = case.cell.states

    def run(inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        names = [name for name, tensor in case.weights._asdict().items() if tensor is not None]
        weights = Weights(**dict(zip(names, rest[states:], strict=True)))
        return tuple(
            forward(fused, replace(case, inputs=inputs, state=rest[:states], weights=weights)).values()
        )

    assert torch.autograd.gradcheck(run, tuple(case.leaves().values()))


@each_cell
def test_saturated_gates_agree(variant: Variant) -> None:
    case = make(variant, 3, 9, 5, 10)
    case = replace(case, inputs=(case.inputs.detach() * 1000).requires_grad_())
    assert_close(results(fused, case), results(naive, case), 1e-9)


@each_cell
@rolls_and_dense
def test_nan_stays_nan_in_its_row_and_leaves_the_others_alone(variant: Variant, roll: bool) -> None:
    case = make(variant, 3, 9, 88, 10, roll).detach()
    case.inputs[1, 4, 50] = torch.nan
    assert torch.equal(fused(case)[0].isnan(), naive(case)[0].isnan())


@each_cell
def test_only_one_result_may_be_used(variant: Variant) -> None:
    case = make(variant, hidden=6)
    expected, found = forward(naive, case), forward(fused, case)
    for name in expected:  # the other results hand back no gradient, and this one a row of equal ones
        wanted, got = (
            torch.autograd.grad(
                parts[name].sum(), list(case.leaves().values()), retain_graph=True, allow_unused=True
            )
            for parts in (expected, found)
        )
        for (leaf, tensor), a, b in zip(case.leaves().items(), wanted, got, strict=True):
            a, b = (torch.zeros_like(tensor) if gradient is None else gradient for gradient in (a, b))
            assert_close({leaf: b}, {leaf: a}, 1e-11)


@each_cell
def test_only_one_tensor_may_need_a_gradient(variant: Variant) -> None:
    case = make(variant, hidden=6)
    expected = results(naive, case)
    for wanted in case.leaves():
        alone = case.change(torch.clone).with_leaves(lambda name, wanted=wanted: name == wanted)
        name = f"gradient of {wanted}"
        assert_close({name: results(fused, alone)[name]}, {name: expected[name]}, 1e-11)


def scattered(tensor: Tensor) -> Tensor:
    """Return the same numbers, no two of them adjacent in memory."""
    if tensor.ndim == 1:
        return torch.stack([tensor, -tensor], 1)[:, 0]
    return tensor.transpose(0, -1).repeat_interleave(2, 0)[::2].transpose(0, -1)


@each_cell
@rolls_and_dense
def test_tensors_need_not_be_contiguous(variant: Variant, roll: bool) -> None:
    case = make(variant, 3, 9, 88, 6, roll)
    case = replace(case, mask=ragged(3, 9))
    spread = case.change(scattered)
    assert not any(tensor.is_contiguous() for tensor in spread.tensors().values() if tensor.numel() > 1)
    spread = replace(spread, mask=scattered(ragged(3, 9)))
    assert_close(results(fused, spread, scattered), results(naive, case), 1e-11)


@each_cell
def test_a_second_derivative_is_refused(variant: Variant) -> None:
    case = make(variant)
    parts = forward(fused, case)
    (gradient,) = torch.autograd.grad(parts["outputs"].square().sum(), case.state[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
    assert backward(forward(fused, case), case)
