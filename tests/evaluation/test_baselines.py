from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.corpus import Corpus
from musicrnn.evaluation import baselines
from musicrnn.evaluation.baselines import column_ones, count_transitions, measure_baselines
from tests.evaluation.rolls import LAYOUT, lengths, random_pieces, split

TRAIN = random_pieces([9, 30, 14], 1)
TEST = random_pieces([7, 1, 12], 1)


def fitted(groups: dict[object, list[int]], key: object) -> float:
    """Krichevsky and Trofimov's estimate of the probability of a one."""
    seen = groups.get(key, [])
    return (sum(seen) + 0.5) / (len(seen) + 1)


def by_hand(key, skip: int) -> float:
    """Nats per frame where cells of the same key share a probability."""
    groups: dict[object, list[int]] = {}
    for piece in TRAIN:
        for before, frame in zip([np.zeros_like(piece[0]), *piece[:-1]], piece, strict=True):
            for cell, value in enumerate(frame):
                groups.setdefault(key(cell, before[cell]), []).append(int(value))
    nats, frames = 0.0, 0
    for piece in TEST:
        for before, frame in list(zip([np.zeros_like(piece[0]), *piece[:-1]], piece, strict=True))[skip:]:
            frames += 1
            for cell, value in enumerate(frame):
                p = fitted(groups, key(cell, before[cell]))
                nats -= np.log(p if value else 1 - p)
    return nats / frames


@pytest.mark.parametrize("skip", [False, True])
def test_baselines_are_those_of_a_plain_loop(skip: bool) -> None:
    found = measure_baselines(split(TRAIN), split(TEST), skip_first_frame=skip)
    assert found.unigram == pytest.approx(by_hand(lambda cell, before: cell, skip))
    assert found.bigram == pytest.approx(by_hand(lambda cell, before: (cell, before), skip))
    shared = lambda cell, before: (cell // LAYOUT.pitches, before)  # noqa: E731
    assert found.repeat == pytest.approx(by_hand(shared, skip)), "each channel has its two probabilities"
    assert found.bigram < found.unigram, "these pieces have a memory"


@pytest.mark.parametrize("skip", [False, True])
def test_repeating_is_measured_on_the_frame_channel(skip: bool) -> None:
    metrics = measure_baselines(split(TRAIN), split(TEST), skip_first_frame=skip).repeat_metrics
    sounding = [piece[:, : LAYOUT.pitches] for piece in TEST]
    hits = sum(int((piece[1:] & piece[:-1]).sum()) for piece in sounding)
    assert metrics.true_positives == hits
    assert metrics.false_positives == sum(int(piece[:-1].sum()) for piece in sounding) - hits
    assert metrics.false_negatives == sum(int(piece[skip:].sum()) for piece in sounding) - hits


def test_the_unigram_by_hand(corpus: Corpus) -> None:
    frames = np.concatenate([roll.frames for roll in corpus["train"]])
    rates = (frames.sum(0) + 0.5) / (len(frames) + 1)
    test = np.concatenate([roll.frames for roll in corpus["test"]])
    expected = -np.where(test, np.log(rates), np.log(1 - rates)).sum(1).mean()
    assert measure_baselines(corpus["train"], corpus["test"]).unigram == pytest.approx(expected)


def test_without_frames_there_is_no_likelihood() -> None:
    alone = split(random_pieces([1, 1], 3))
    found = measure_baselines(split(TRAIN), alone, skip_first_frame=True)
    assert np.isnan([found.unigram, found.bigram, found.repeat]).all()


@settings(max_examples=30, deadline=None)
@given(lengths, st.integers(0, 99), st.sampled_from([1, 7, 2**18]))
def test_transitions_are_those_of_a_plain_loop(many: list[int], seed: int, chunk: int) -> None:
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
        patch.setattr(baselines, "CHUNK_FRAMES", chunk)
        found = [count_transitions(split(pieces), skip_first_frame=skip) for skip in (False, True)]
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], without)


@pytest.mark.parametrize("width", [1, 8, 12, 88])
def test_ones_are_counted_in_packed_frames(width: int) -> None:
    frames = np.random.default_rng(width).integers(0, 2, (300, width), np.uint8)
    np.testing.assert_array_equal(column_ones(np.packbits(frames, axis=1), width), frames.sum(0))
