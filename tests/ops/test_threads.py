from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from musicrnn.ops import CELLS, fitting_threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cell", "batch", "hidden", "peepholes", "threads"),
    [
        ("gru", 16, 128, False, 1),
        ("gru", 128, 400, False, 2),
        ("lstm", 16, 128, False, 2),
        ("lstm", 16, 36, True, 1),
    ],
)
def test_small_stepwise_recurrences_get_one_thread(
    cell: str, batch: int, hidden: int, peepholes: bool, threads: int
) -> None:
    with fitting_threads(CELLS[cell], batch, hidden, peepholes):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(RuntimeError), fitting_threads(CELLS["gru"], 1, 8):
        raise RuntimeError
    assert torch.get_num_threads() == 2
