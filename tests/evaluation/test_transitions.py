from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.evaluation import transitions
from musicrnn.evaluation.transitions import column_ones, count_transitions
from tests.evaluation.rolls import LAYOUT, lengths, random_pieces, split


@settings(max_examples=30, deadline=None)
@given(lengths, st.integers(0, 99), st.sampled_from([1, 7, 2**18]))
def test_transitions_are_those_of_a_plain_loop(many: list[int], seed: int, at_once: int) -> None:
    pieces = random_pieces(many, seed)
    expected = np.zeros((2, 2, LAYOUT.width), int)
    without = expected.copy()
    for piece in pieces:
        before = np.zeros(LAYOUT.width, int)
        for time, frame in enumerate(piece):
            for cell, value in enumerate(frame):
                expected[before[cell], value, cell] += 1
                without[before[cell], value, cell] += time > 0
            before = frame
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transitions, "AT_ONCE", at_once)
        found = count_transitions(split(pieces))
    np.testing.assert_array_equal(found.counts, expected)
    np.testing.assert_array_equal(found.between_frames(), without)


@pytest.mark.parametrize("width", [1, 8, 12, 88])
def test_ones_are_counted_in_packed_frames(width: int) -> None:
    frames = np.random.default_rng(width).integers(0, 2, (300, width), np.uint8)
    np.testing.assert_array_equal(column_ones(np.packbits(frames, axis=1), width), frames.sum(0))
