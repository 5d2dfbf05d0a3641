"""Position features give the position of the next frame, and continue from their state."""

from __future__ import annotations

import pytest
import torch

from musicrnn.errors import UsageError
from musicrnn.nn.position import PositionEncoding, periods_of


def test_features_tell_where_the_next_frame_falls() -> None:
    features, state = PositionEncoding((2, 3))(torch.zeros(2, 4, 5))
    assert features[0].tolist() == features[1].tolist()
    assert features[0].tolist() == [[1, 0, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 1, 0, 0]]
    assert state[0].tolist() == [[4], [4]]


def test_counting_continues_from_the_state() -> None:
    encoding, frames = PositionEncoding((4, 16)), torch.zeros(1, 40, 5)
    whole, _ = encoding(frames)
    first, state = encoding(frames[:, :13])
    second, _ = encoding(frames[:, 13:], state)
    assert torch.equal(torch.cat([first, second], 1), whole)


def test_periods_are_read() -> None:
    assert periods_of("") == ()
    assert periods_of("4,16") == (4, 16)


@pytest.mark.parametrize("text", ["4;16", "1", "4,", "2000", "-4", "bar"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="clock must"):
        periods_of(text)
