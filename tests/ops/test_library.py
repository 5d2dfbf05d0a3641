"""torch's own libraries compute the same as the equations."""

from __future__ import annotations

import pytest

from musicrnn.ops import CELLS, State
from tests.ops.cases import Case, Variant, assert_close, make, naive, results

LIBRARY = [cell.name for cell in CELLS.values() if cell.library]


def library(case: Case) -> tuple[object, State]:
    assert case.cell.library is not None
    return case.cell.library(case.inputs, case.state, case.weights)


def test_the_cells_that_a_library_has() -> None:
    assert LIBRARY == ["tanh", "lstm", "gru-reset-after"]


@pytest.mark.parametrize("name", LIBRARY)
def test_libraries_agree_with_naive_in_outputs_state_and_every_gradient(name: str) -> None:
    case = make(Variant(CELLS[name]), 3, 20, 5, 12)
    assert_close(results(library, case), results(naive, case), 1e-11)
