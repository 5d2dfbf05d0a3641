from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.batches import (
    MOST_PADDING,
    Augmentation,
    Batch,
    evaluation_batches,
    fitting,
    flip,
    training_batch,
    training_order,
    transposed,
)

SHARED = Path(__file__).parents[2].parent / "shared" / "benchmarks"


def loaded(corpus: Corpus, augmentation: Augmentation = Augmentation()) -> list[Batch]:  # noqa: B008
    split = corpus["train"]
    return [
        training_batch(split, pieces, augmentation, [0, 1]) for pieces in training_order(split, 3, [0, 1])
    ]


def test_every_piece_is_in_one_batch_and_its_mask_is_its_length(corpus: Corpus) -> None:
    split = corpus["train"]
    for batches in (loaded(corpus), list(evaluation_batches(split, 3))):
        assert sorted(index for batch in batches for index in batch.pieces) == list(range(len(split)))
        for batch in batches:
            assert (np.diff(batch.mask.sum(1)) <= 0).all()
            for row, index in enumerate(batch.pieces):
                roll = split[index]
                np.testing.assert_array_equal(batch.frames[row][batch.mask[row]], roll.frames)
                assert batch.mask[row].sum() == len(roll) and not batch.frames[row][len(roll) :].any()
                np.testing.assert_array_equal(batch.inputs[row][1 : len(roll)], roll.frames[:-1])
                assert not batch.inputs[row][0].any() and not batch.inputs[row][len(roll) :].any()


def test_the_order_is_fixed_by_the_seed_alone(corpus: Corpus) -> None:
    def order(*seed: int) -> list[list[int]]:
        return training_order(corpus["train"], 2, seed)

    assert order(0, 1) == order(0, 1)
    assert any(order(0, 1) != order(0, epoch) for epoch in range(2, 6))


@pytest.mark.parametrize("chunk", [0, 5])
def test_an_epoch_keeps_to_its_share_of_padding(corpus: Corpus, chunk: int) -> None:
    split, computed = corpus["train"], 0
    order = training_order(split, 8, [0], chunk)
    for pieces in order:
        lengths = split.lengths[pieces]
        steps = chunk or lengths.max()
        computed += sum(min(lengths.max(), -(-length // steps) * steps) for length in lengths)
    assert 1 - split.frames / computed <= MOST_PADDING
    assert len(order) < len(split), "pieces are side by side"


def test_batches_of_similar_lengths_are_full() -> None:
    class Alike:
        lengths = np.random.default_rng(0).integers(100, 103, 1000)

        def __len__(self) -> int:
            return 1000

    sizes = [len(batch) for batch in training_order(Alike(), 16, [0])]  # type: ignore[arg-type]
    assert sorted(sizes) == [8] + [16] * 62


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
@pytest.mark.parametrize("name", ["JSB_Chorales", "Nottingham", "MuseData", "Piano_midi"])
@pytest.mark.parametrize("chunk", [0, 100])
def test_padding_of_the_benchmarks_is_under_a_twentieth(name: str, chunk: int, tmp_path: Path) -> None:
    from musicrnn.corpus import Preparation, build_corpus, collect

    collection = collect([str(SHARED / f"{name}.mat")])
    assert collection.layout is not None
    build_corpus(collection, Preparation(collection.layout), tmp_path / name)
    split = open_corpus(tmp_path / name)["train"]
    computed = 0
    for pieces in training_order(split, 16, [0], chunk):
        lengths = split.lengths[pieces]
        steps = chunk or int(lengths.max())
        computed += int(np.minimum(lengths.max(), -(-lengths // steps) * steps).sum())
    assert 1 - split.frames / computed < 0.05


def test_a_piece_is_augmented_equally_in_any_batch(corpus: Corpus) -> None:
    """A process samples the same for its share of a batch as one process for all of it."""
    change = Augmentation(-3, 3, 0.1)
    together = training_batch(corpus["train"], [0, 1, 2], change, [7, 4])
    alone = training_batch(corpus["train"], [1], change, [7, 4])
    length = int(alone.mask.sum())
    np.testing.assert_array_equal(together.inputs[1][:length], alone.inputs[0])
    np.testing.assert_array_equal(together.frames[1][:length], alone.frames[0])
    other = training_batch(corpus["train"], [1], change, [7, 5])
    assert not np.array_equal(other.inputs, alone.inputs)


def test_flips_change_inputs_and_never_targets_or_padding(corpus: Corpus) -> None:
    clean, disturbed = loaded(corpus), loaded(corpus, Augmentation(flips=0.2))
    flipped = []
    for before, after in zip(clean, disturbed, strict=True):
        np.testing.assert_array_equal(before.frames, after.frames)
        assert not after.inputs[~after.mask].any() and set(np.unique(after.inputs)) == {0, 1}
        flipped.append((before.inputs != after.inputs)[after.mask].ravel())
    assert np.concatenate(flipped).mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5])
def test_cells_are_flipped_with_their_probability_each_on_its_own(probability: float) -> None:
    source = np.random.default_rng(0)
    flips = np.zeros((400, 7 * 11 * 13), np.float32)
    for cells in flips:
        flip(cells, probability, source)
    assert flips.mean() == pytest.approx(probability, rel=0.06)
    expected = (probability * (1 - probability) / 400) ** 0.5
    assert flips.mean(0).std() == pytest.approx(expected, rel=0.1)
    assert flips.sum(1).var() == pytest.approx(flips.shape[1] * probability * (1 - probability), rel=0.3)
    ones = np.ones(50, np.float32)
    flip(ones, 0.5, source)
    assert set(ones.tolist()) == {0.0, 1.0}


@given(
    st.integers(-12, 12),
    st.lists(st.lists(st.booleans(), min_size=16, max_size=16), min_size=1, max_size=5),
)
def test_transposition_moves_every_block_and_loses_no_note(semitones: int, cells: list[list[bool]]) -> None:
    frames = np.array(cells, np.uint8)
    moved = transposed(frames, fitting(frames, semitones, 8), 8)
    assert moved.sum() == frames.sum()
    used = np.flatnonzero(frames.reshape(-1, 2, 8).any((0, 1)))
    if len(used):
        by = min(max(semitones, -int(used[0])), 7 - int(used[-1]))
        for block in (0, 8):
            before, after = (np.argwhere(roll[:, block : block + 8]) for roll in (frames, moved))
            np.testing.assert_array_equal(after, before + np.array([0, by]))


def test_transpositions_are_sampled_from_the_range_in_every_epoch(corpus: Corpus) -> None:
    split = corpus["train"]
    room = [11 - int(np.flatnonzero(roll.sounding.any(0))[-1]) for roll in split]
    piece, most = int(np.argmax(room)), min(3, max(room))
    assert most > 0, "a piece has to fit elsewhere for this test to tell"
    moved = {
        int(np.flatnonzero(training_batch(split, [piece], Augmentation(0, 3), [0, n]).frames[0].any(0))[0])
        for n in range(40)
    }
    first = int(np.flatnonzero(split[piece].frames.any(0))[0])
    assert moved == {first + by for by in range(most + 1)}
