from __future__ import annotations

import numpy as np

from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import evaluation_batches, training_batches


def test_every_piece_is_in_one_batch_and_its_mask_is_its_length(corpus: Corpus) -> None:
    split = corpus["train"]
    for batches in (list(training_batches(split, 3, "seed")), list(evaluation_batches(split, 3))):
        assert sorted(index for batch in batches for index in batch.pieces) == list(range(len(split)))
        for batch in batches:
            for row, index in enumerate(batch.pieces):
                roll = split[index]
                np.testing.assert_array_equal(batch.frames[row][batch.mask[row]], roll.frames)
                assert batch.mask[row].sum() == len(roll) and not batch.frames[row][len(roll) :].any()


def test_the_order_is_fixed_by_the_seed_alone(corpus: Corpus) -> None:
    def order(seed: str) -> list[list[int]]:
        return [batch.pieces for batch in training_batches(corpus["train"], 2, seed)]

    assert order("0:1") == order("0:1")
    assert any(order("0:1") != order(f"0:{epoch}") for epoch in range(2, 6))


def test_neighbours_are_of_like_length(corpus: Corpus) -> None:
    for batch in training_batches(corpus["train"], 3, "seed"):
        lengths = batch.mask.sum(1)
        assert lengths.max() <= lengths.min() * 1.6
