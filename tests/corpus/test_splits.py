"""Splits keep groups together, meet the shares as groups allow, and never leak a piece in another key."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.corpus import Preparation, build_corpus, collect
from musicrnn.corpus.splits import FREE, assign_splits, group_pieces
from musicrnn.corpus.store import SPLITS
from musicrnn.corpus.summary import count_duplicates
from musicrnn.music import Layout, read_midi, write_midi
from tests.conftest import make_midi
from tests.corpus.scores import transposed

TRAIN, VALID, TEST = range(3)
SHARES = st.sampled_from([(0.1, 0.1), (0.2, 0.0), (0.0, 0.3), (0.5, 0.5), (0.02, 0.05)])
GIVEN = st.sampled_from([FREE, FREE, FREE, TRAIN, VALID, TEST])


def one_by_one(given: Sequence[str | None], shares: tuple[float, float], seed: int) -> list[str]:
    """Splits of pieces without groups, taken one by one from the end of a shuffle."""
    named = set(given) - {None}
    splits = [split or "train" for split in given]
    free = [index for index, split in enumerate(splits) if split == "train"]
    random.Random(seed).shuffle(free)
    total = len(free)
    for split, share in zip(("valid", "test"), shares, strict=True):
        if split in named or share == 0 or (split == "test" and named):
            continue
        for _ in range(min(max(1, round(share * total)), len(free) - 1)):
            splits[free.pop()] = split
    return splits


@settings(max_examples=80, deadline=None)
@given(st.lists(GIVEN, min_size=1, max_size=40), SHARES, st.integers(0, 9), st.randoms(use_true_random=False))
def test_single_pieces_are_assigned_one_by_one(
    given: list[int], shares: tuple[float, float], seed: int, names: random.Random
) -> None:
    groups = list(range(len(given)))
    names.shuffle(groups)  # what groups are called doesn't matter
    expected = one_by_one([None if code == FREE else SPLITS[code] for code in given], shares, seed)
    found = assign_splits(np.array(given, np.uint8), np.array(groups), shares, seed)
    assert [SPLITS[code] for code in found] == expected


def assigned(groups: list[int], shares: tuple[float, float], seed: int = 0) -> np.ndarray:
    return assign_splits(np.full(len(groups), FREE, np.uint8), np.array(groups), shares, seed)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), SHARES, st.integers(0, 9))
def test_groups_stay_together_and_fill_the_shares(
    groups: list[int], shares: tuple[float, float], seed: int
) -> None:
    splits = assigned(groups, shares, seed)
    sizes = {group: groups.count(group) for group in groups}
    place = dict(zip(groups, splits.tolist(), strict=True))
    assert [place[group] for group in groups] == splits.tolist()
    left = [sizes[group] for group in sizes if place[group] == TRAIN]
    assert left
    for split, share in ((VALID, shares[0]), (TEST, shares[1])):
        inside = [sizes[group] for group in sizes if place[group] == split]
        wanted = max(1, round(share * len(groups)))
        assert inside or share == 0 or len(left) == 1
        assert sum(inside) <= wanted or len(inside) == 1
        if share and len(left) > 1:
            assert wanted - sum(inside) < min(left)


def test_a_group_too_large_for_its_share_is_passed_over() -> None:
    groups = [0] * 50 + list(range(1, 51))
    for seed in range(20):
        splits = assigned(groups, (0.1, 0.1), seed)
        assert np.bincount(splits).tolist() == [80, 10, 10]
        assert set(splits[:50]) == {TRAIN}


def test_where_all_groups_are_too_large_the_smallest_is_assigned() -> None:
    splits = assigned([0] * 6 + [1] * 5 + [2] * 4, (0.1, 0.1))
    assert splits.tolist() == [TRAIN] * 6 + [TEST] * 5 + [VALID] * 4


def test_one_group_is_left_to_train_on() -> None:
    assert set(assigned([7] * 9, (0.1, 0.1))) == {TRAIN}
    assert sorted(set(assigned([7] * 9 + [8], (0.5, 0.5)))) == [TRAIN, VALID]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(GIVEN, st.integers(0, 5)), min_size=1, max_size=30), st.integers(0, 9))
def test_splits_that_the_source_names_are_kept(pieces: list[tuple[int, int]], seed: int) -> None:
    given, groups = (np.array(column) for column in zip(*pieces, strict=True))
    splits = assign_splits(given.astype(np.uint8), groups, (0.2, 0.2), seed)
    named = set(given.tolist()) - {FREE}
    fixed = np.isin(given, [VALID, TEST])
    assert (splits[fixed] == given[fixed]).all()
    if VALID in named:
        assert (splits[~fixed] == TRAIN).all()
    elif named:
        assert TEST not in splits[~fixed]


def test_only_the_seed_matters() -> None:
    groups = list(range(50))
    assert assigned(groups, (0.2, 0.2), 1).tolist() == assigned(groups, (0.2, 0.2), 1).tolist()
    assert assigned(groups, (0.2, 0.2), 1).tolist() != assigned(groups, (0.2, 0.2), 2).tolist()


def united(sources: list[int], contents: list[int]) -> list[int]:
    """The first piece of each piece's group, by union-find."""
    first = list(range(len(sources)))

    def root(piece: int) -> int:
        while first[piece] != piece:
            piece = first[piece]
        return piece

    for one in range(len(sources)):
        for other in range(one):
            if sources[one] == sources[other] or contents[one] == contents[other]:
                low, high = sorted((root(one), root(other)))
                first[high] = low
    return [root(piece) for piece in range(len(sources))]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=16), st.booleans())
def test_pieces_of_one_source_or_one_content_are_joined(pieces: list[tuple[int, int]], alone: bool) -> None:
    sources, contents = ([piece[column] for piece in pieces] for column in (0, 1))
    if alone:
        sources = list(range(len(pieces)))
    hashes = np.array([content.to_bytes(16, "big") for content in contents], "V16")
    groups = group_pieces(np.array(sources), hashes).tolist()
    assert [groups.index(group) for group in groups] == united(sources, contents)


@pytest.mark.parametrize("split_tracks", [False, True])
def test_copies_and_transposed_copies_never_leak(tmp_path: Path, split_tracks: bool) -> None:
    make_midi(tmp_path / "in", 8)
    for path in sorted((tmp_path / "in").iterdir()):
        for semitones in (0, -3, 5):
            write_midi(
                transposed(read_midi(path), semitones), path.with_name(f"{path.stem}{semitones:+}.mid")
            )
    preparation = Preparation(Layout(4, 40, 90), split_tracks=split_tracks)
    for seed in range(5):
        corpus = build_corpus(
            collect([str(tmp_path / "in")]), preparation, tmp_path / "out", seed=seed, shares=(0.25, 0.25)
        ).corpus
        assert {split: len(pieces) for split, pieces in corpus.items()} == {
            "train": 16,
            "valid": 8,
            "test": 8,
        }
        places: dict[str, set[str]] = {}
        for piece in corpus.pieces:
            places.setdefault(piece.name[: len("piece-00")], set()).add(piece.split)
        assert all(len(splits) == 1 for splits in places.values())
        assert count_duplicates(corpus).across_splits == 0
    parted = build_corpus(
        collect([str(tmp_path / "in")]),
        preparation,
        tmp_path / "out",
        shares=(0.25, 0.25),
        keep_duplicates=True,
    ).corpus
    assert count_duplicates(parted).across_splits > 0
