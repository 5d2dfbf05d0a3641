"""How a recurrence is computed, with kernels and without."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from musicrnn.errors import UsageError
from musicrnn.ops import CELLS, State, Weights, cell_named, choices, recurrence
from tests.ops.cases import (
    LIMITS,
    Case,
    Variant,
    assert_close,
    assert_same_bits,
    each_cell,
    forward,
    fused,
    make,
    naive,
    ragged,
    results,
    rolls_and_dense,
    run_python,
)


def dispatched(case: Case) -> tuple[Tensor, State]:
    return recurrence(case.cell, case.inputs, case.state, case.weights, case.mask)


def test_cells_are_known_by_their_names() -> None:
    names = ["tanh", "lstm", "gru", "gru-reset-after", "gru-simplified", "irnn", "scrn"]
    assert list(CELLS) == names
    assert [cell_named(name).name for name in names] == names


def test_an_unknown_cell_is_refused_with_the_known_ones_named() -> None:
    known = re.escape("tanh, lstm, gru, gru-reset-after, gru-simplified, irnn, scrn, got 'gruu'")
    with pytest.raises(UsageError, match=known):
        cell_named("gruu")


@each_cell
@rolls_and_dense
def test_a_cpu_uses_the_kernels(variant: Variant, roll: bool) -> None:
    for dtype in (torch.float32, torch.float64):
        case = replace(make(variant, 3, 9, 88, 10, roll, dtype), mask=ragged(3, 9))
        assert_same_bits(forward(dispatched, case), forward(fused, case))


@each_cell
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_types_of_number_go_step_by_step(variant: Variant, dtype: torch.dtype) -> None:
    case = replace(make(variant, dtype=dtype), mask=ragged(3, 9))
    found, expected = forward(dispatched, case), forward(naive, case)
    for name in expected:
        assert found[name].dtype == dtype
        assert torch.equal(found[name], expected[name])


@each_cell
def test_a_batch_may_be_empty(variant: Variant) -> None:
    outputs, last = dispatched(make(variant).rows(slice(0, 0)))
    assert outputs.shape == (0, 9, 4)
    assert all(tensor.shape == (0, 4) for tensor in last)


@each_cell
def test_a_library_is_used_where_it_is_faster_and_has_the_same_function(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def wins(*sizes: object) -> bool:
        asked.append(sizes)
        return True

    monkeypatch.setattr(choices, "library_wins", wins)
    case = make(variant, dtype=torch.float32)
    found = forward(dispatched, case)
    possible = variant.cell.library is not None and not variant.peepholes
    assert asked == [(variant.cell.name, 3, 4)] * possible
    if possible:
        expected = forward(lambda case: variant.cell.library(case.inputs, case.state, case.weights), case)
        assert_same_bits(found, expected)
    else:
        assert_same_bits(found, forward(fused, case))
    masked = replace(case, mask=ragged(3, 9))
    assert_same_bits(forward(dispatched, masked), forward(fused, masked))


def test_a_single_wide_lstm_agrees() -> None:
    case = make(Variant(CELLS["lstm"]), 1, 20, 12, 300)
    found = results(dispatched, case.change(Tensor.float))
    assert_close(found, results(naive, case), LIMITS[torch.float32])


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import torch
from musicrnn.ops import CELLS, Weights, fitting_threads, recurrence, recurrence_work
from musicrnn.ops.scan import scan

cell = CELLS["gru"]
weights = Weights(torch.randn(12, 5), torch.randn(12, 4, requires_grad=True), torch.randn(12))
inputs, state = torch.randn(3, 9, 5), (torch.randn(3, 4),)
torch.set_num_threads(2)
for _ in range(2):
    with fitting_threads(recurrence_work(cell, 3, 9, 5, 4)):
        print(torch.get_num_threads())
        found, last = recurrence(cell, inputs, state, weights)
        found.sum().backward()
        expected, expected_last = scan(cell, inputs, state, weights)
        assert torch.equal(found, expected) and torch.equal(last[0], expected_last[0])
"""


def test_without_numba_the_equations_are_used_with_one_warning() -> None:
    ran = run_python(WITHOUT_NUMBA)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["1", "1"]
    (line,) = ran.stderr.splitlines()
    assert re.fullmatch(r"fast kernels are not available \(.*numba.*\); using slower code", line)


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    cell, x, state = CELLS["gru"], torch.zeros(2, 3, 5), (torch.zeros(2, 4),)
    weights = Weights(torch.zeros(12, 5), torch.zeros(12, 4), torch.zeros(12))
    with pytest.raises(
        ValueError, match=r"inputs must be torch.float32, as weights and state, got torch.float64"
    ):
        recurrence(cell, x.double(), state, weights)
    with pytest.raises(ValueError, match=r"state must have shape \(2, 4\) \(B, H\), got \(1, 4\)"):
        recurrence(cell, x, (torch.zeros(1, 4),), weights)
    with pytest.raises(ValueError, match="state of gru must have 1 tensors, got 2"):
        recurrence(cell, x, state * 2, weights)
    with pytest.raises(ValueError, match="inputs must have D = 5, as the weights, got 6"):
        recurrence(cell, torch.zeros(2, 3, 6), state, weights)
    with pytest.raises(ValueError, match=r"mask must have shape \(2, 3\) \(B, T\), got \(2, 4\)"):
        recurrence(cell, x, state, weights, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask must be torch.bool, got torch.float32"):
        recurrence(cell, x, state, weights, torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"hidden must have shape \(12, 4\) \(G\*H, H\), got \(12, 5\)"):
        recurrence(cell, x, state, weights._replace(hidden=torch.zeros(12, 5)))
    with pytest.raises(ValueError, match=r"bias must have shape \(12,\) \(G\*H,\), got \(16,\)"):
        recurrence(cell, x, state, weights._replace(bias=torch.zeros(16)))
    with pytest.raises(ValueError, match=r"inputs must be on meta, as all else, got cpu"):
        recurrence(cell, x, state, weights._replace(bias=torch.zeros(12, device="meta")))
    lstm = Weights(torch.zeros(16, 5), torch.zeros(16, 4), torch.zeros(16), torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"peepholes must have shape \(3, 4\) \(3, H\), got \(4, 4\)"):
        recurrence(CELLS["lstm"], x, state * 2, lstm)


def test_no_frames_leave_the_state() -> None:
    weights, state = Weights(torch.zeros(12, 5), torch.zeros(12, 4), torch.zeros(12)), (torch.ones(2, 4),)
    outputs, last = recurrence(CELLS["gru"], torch.zeros(2, 0, 5), state, weights)
    assert outputs.shape == (2, 0, 4) and torch.equal(last[0], state[0])
