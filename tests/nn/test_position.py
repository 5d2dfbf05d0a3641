"""The clock says where the next frame falls, and goes on where it stopped."""

from __future__ import annotations

import pytest
import torch

from musicrnn.errors import UsageError
from musicrnn.nn.clock import Clock, periods_of


def test_it_says_where_the_next_frame_falls() -> None:
    face, state = Clock((2, 3))(torch.zeros(2, 4, 5))
    assert face[0].tolist() == face[1].tolist()
    assert face[0].tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 1, 0, 0]]
    assert state[0].tolist() == [[4], [4]]


def test_it_goes_on_where_it_stopped() -> None:
    clock, frames = Clock((4, 16)), torch.zeros(1, 40, 5)
    whole, _ = clock(frames)
    first, state = clock(frames[:, :13])
    second, _ = clock(frames[:, 13:], state)
    assert torch.equal(torch.cat([first, second], 1), whole)


def test_periods_are_read() -> None:
    assert periods_of("") == ()
    assert periods_of("4,16") == (4, 16)


@pytest.mark.parametrize("text", ["4;16", "1", "4,", "2000", "-4", "bar"])
def test_what_no_clock_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="clock must"):
        periods_of(text)
