"""Training, validation and test pieces, such that pieces with the same content are in the same split."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.store import SPLITS

FREE = 255  # split of a piece whose source has none


def assign_splits(
    given: NDArray[np.uint8], groups: NDArray[Any], shares: tuple[float, float], seed: int
) -> NDArray[np.uint8]:
    """Return a split for every piece.

    Splits of the source are kept; validation pieces, if it has none, are taken from its training pieces. The
    others are shuffled. A share above zero gets at least one group as long as one remains to train on.

    Args:
        given: Position in ``SPLITS`` of the split of each piece's source, or ``FREE``, shape (N,).
        groups: Pieces with the same number stay together unless the source separates them, shape (N,).
        shares: Shares of validation and test pieces.
        seed: Seeds the shuffle.

    Returns:
        Positions in ``SPLITS``, shape (N,).
    """
    train, valid, test = range(len(SPLITS))
    named = {int(code) for code in np.unique(given)} - {FREE}
    splits = np.where(given == FREE, train, given).astype(np.uint8)
    free = np.flatnonzero(splits == train)
    _, first, member = np.unique(groups[free], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # groups in the order in which their first pieces come
    member, sizes = rank[member], np.bincount(rank[member])
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    for split, share in ((valid, shares[0]), (test, shares[1])):
        if split in named or share == 0 or (split == test and named):
            continue
        chosen = np.zeros(len(sizes), bool)
        chosen[_choose(order, sizes, max(1, round(share * len(free))))] = True
        order = [group for group in order if not chosen[group]]
        splits[free[chosen[member]]] = split
    return splits


def group_pieces(sources: NDArray[Any], contents: NDArray[Any]) -> NDArray[Any]:
    """Return group numbers, such that pieces of one source and pieces of one content share a group.

    Args:
        sources: Number of each piece's source, shape (N,).
        contents: Hash of each piece's content, shape (N,).
    """
    _, contents = np.unique(contents, return_inverse=True)
    if len(np.unique(sources)) == len(sources):
        return contents
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    offset = int(sources.max()) + 1
    size = offset + int(contents.max()) + 1
    edges = coo_array((np.ones(len(sources)), (sources, offset + contents)), shape=(size, size))
    _, labels = connected_components(edges, directed=False)
    return np.asarray(labels[sources])


def _choose(order: list[int], sizes: NDArray[Any], wanted: int) -> list[int]:
    """Return groups from the end of ``order`` with this many pieces in all, without those that are too large.

    One group is left. Where all are too large the smallest is chosen.
    """
    chosen: list[int] = []
    smallest = sorted(order, key=lambda group: int(sizes[group]))[: min(1, len(order) - 1)]
    for group in reversed(order):
        if len(chosen) == len(order) - 1 or wanted <= 0:
            break
        if sizes[group] <= wanted:
            chosen.append(group)
            wanted -= int(sizes[group])
    return chosen or smallest
