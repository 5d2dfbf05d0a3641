"""How often the pieces of a corpus repeat, in the same key or in another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Duplicates(NamedTuple):
    """How often pieces repeat, a piece that was cut counted once.

    Attributes:
        pieces: Pieces with the content of an earlier piece.
        transposed: Those of them that no earlier piece equals in the same key.
        across_splits: Pieces with the content of a piece in another split.
    """

    pieces: int
    transposed: int
    across_splits: int


def count_duplicates(index: NDArray[Any]) -> Duplicates:
    """Count the pieces whose content repeats, in the index of a corpus, dtype ``store.INDEX``."""
    _, rows = np.unique(index["part"], return_index=True)
    content, lowest, split = (index[column][rows] for column in ("content", "lowest", "split"))
    number = np.arange(len(rows))
    _, first, group = np.unique(content, return_index=True, return_inverse=True)
    _, first_in_key, in_key = np.unique(
        np.stack([group, lowest], axis=1), axis=0, return_index=True, return_inverse=True
    )
    repeats, repeats_in_key = first[group] != number, first_in_key[in_key.ravel()] != number
    is_split = np.zeros(len(first), bool)
    is_split[group[split != split[first[group]]]] = True
    return Duplicates(int(repeats.sum()), int((repeats & ~repeats_in_key).sum()), int(is_split[group].sum()))
