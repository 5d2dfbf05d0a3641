"""How many threads a network gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from musicrnn.ops import CELLS, Work, fitting_threads, product_work, recurrence_work
from tests.ops.cases import threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threads(2):
        yield


@pytest.mark.parametrize(
    ("cell", "batch", "hidden", "number"),
    [("gru", 16, 128, 1), ("gru", 128, 400, 2), ("lstm", 16, 128, 1), ("tanh", 1, 8, 1)],
)
@pytest.mark.parametrize("frames", [2, 2000])
def test_step_by_step_only_the_work_of_a_step_counts(
    cell: str, batch: int, hidden: int, number: int, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicrnn.ops.dispatch.fused", lambda cell: None)
    with fitting_threads(recurrence_work(CELLS[cell], batch, frames, 88, hidden)):
        assert torch.get_num_threads() == number
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize(("frames", "number"), [(2, 1), (20_000, 2)])
def test_kernels_share_the_work_of_a_whole_sequence(cell: str, frames: int, number: int) -> None:
    with fitting_threads(recurrence_work(CELLS[cell], 16, frames, 88, 46)):
        assert torch.get_num_threads() == number
    assert torch.get_num_threads() == 2


def test_the_work_of_all_parts_counts() -> None:
    part = recurrence_work(CELLS["gru"], 16, 60, 88, 46)
    for work, number in ((part, 1), (part + product_work(16 * 60, 300, 300), 2), (part + part, 1)):
        with fitting_threads(work):
            assert torch.get_num_threads() == number


def test_works_are_added() -> None:
    assert Work(1.0, 2.0) + Work(3.0, 4.0) == Work(4.0, 6.0)
    assert product_work(2, 3, 4) == Work(6 * 24)


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(RuntimeError), fitting_threads(Work(1.0)):
        raise RuntimeError
    assert torch.get_num_threads() == 2
