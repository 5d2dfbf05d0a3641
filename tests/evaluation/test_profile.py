from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.evaluation import Profile


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.booleans())
def test_stretches_cover_every_position_once(length: int, skip: bool) -> None:
    frames = np.arange(length, 0, -1)
    frames[: int(skip)] = 0
    nats = frames * 2.0
    stretches = Profile(np.ones(3), nats, frames).stretches()
    covered = [position for part in stretches for position in range(part.first, part.last + 1)]
    assert covered == list(range(1 + skip, length + 1))
    assert sum(part.frames for part in stretches) == frames.sum()
    assert [part.nll_per_frame for part in stretches] == [2.0] * len(stretches)


def test_stretches_grow_and_none_is_a_stub() -> None:
    frames = np.ones(33, int)
    parts = Profile(np.ones(3), np.arange(33.0), frames).stretches()
    assert [part.first for part in parts[:4]] == [1, 2, 3, 4]
    widths = [part.last - part.first + 1 for part in parts]
    assert widths[-1] >= widths[-2] - 1 > 2
    assert parts[-1].nll_per_frame == pytest.approx(np.arange(parts[-1].first, 34).mean() - 1)
