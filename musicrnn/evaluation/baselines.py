"""What a network has to beat: distributions that know no time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus import Split


def unigram_rates(split: Split) -> NDArray[np.float64]:
    """Fit the note unigram: how often each cell is one.

    Counts start at one half for either outcome (Krichevsky and Trofimov 1981), so a note never heard keeps
    a small probability.

    Returns:
        Probabilities inside (0, 1), shape (D,).
    """
    rates: NDArray[np.float64] = (split.ones() + 0.5) / (split.frames + 1)
    return rates


def unigram_nll(rates: NDArray[np.float64], split: Split, *, skip_first_frame: bool = False) -> float:
    """Return the negative log-likelihood of a split under independent cells, nats per frame.

    Args:
        rates: Probability that each cell is one, shape (D,).
        split: The pieces to score.
        skip_first_frame: Leave the first frame of every piece out of sum and count.
    """
    skip = int(skip_first_frame)
    ones = split.ones(skip)
    frames = split.frames - skip * len(split)
    nats = -(ones * np.log(rates) + (frames - ones) * np.log1p(-rates)).sum()
    return float(nats / frames) if frames else float("nan")
