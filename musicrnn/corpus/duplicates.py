"""How often pieces of a corpus repeat, in the same key or in another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Duplicates(NamedTuple):
    """How often pieces repeat, a piece that was cut counted once.

    Attributes:
        pieces: Pieces whose content an earlier piece has too.
        transposed: Those of them that are the same in another key only.
        across_splits: Pieces whose content is in another split, too.
    """

    pieces: int
    transposed: int
    across_splits: int


def count_duplicates(content: NDArray[Any], lowest: NDArray[Any], split: NDArray[Any]) -> Duplicates:
    """Count the pieces whose content repeats.

    Args:
        content: Hash of what each piece sounds, whatever its key, shape (N,).
        lowest: Its lowest column, shape (N,).
        split: Its split, shape (N,).
    """
    _, first, group = np.unique(content, return_index=True, return_inverse=True)
    earlier = first[group] != np.arange(len(content))
    exact = np.stack([group, lowest], axis=1)
    _, first_exact, same = np.unique(exact, axis=0, return_index=True, return_inverse=True)
    identical = first_exact[same.ravel()] != np.arange(len(content))
    split_of_first = split[first]
    scattered = np.zeros(len(first), bool)
    scattered[group[split != split_of_first[group]]] = True
    transposed = earlier & ~identical
    return Duplicates(int(earlier.sum()), int(transposed.sum()), int(scattered[group].sum()))
