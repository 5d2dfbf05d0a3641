from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.evaluation.likelihood import position_ranges


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.booleans())
def test_ranges_cover_every_position_once(length: int, skip: bool) -> None:
    frames = np.arange(length, 0, -1)
    frames[: int(skip)] = 0
    ranges = position_ranges(frames * 2.0, frames)
    covered = [position for part in ranges for position in range(part.first, part.last + 1)]
    assert covered == list(range(1 + skip, length + 1))
    assert sum(part.frames for part in ranges) == frames.sum()
    assert [part.nll_per_frame for part in ranges] == [2.0] * len(ranges)


def test_ranges_grow_and_the_last_is_not_short() -> None:
    ranges = position_ranges(np.arange(33.0), np.ones(33, int))
    assert [part.first for part in ranges[:4]] == [1, 2, 3, 4]
    widths = [part.last - part.first + 1 for part in ranges]
    assert widths[-1] >= widths[-2] - 1 > 2
    assert ranges[-1].nll_per_frame == pytest.approx(np.arange(ranges[-1].first, 34).mean() - 1)
