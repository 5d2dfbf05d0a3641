"""What a network has to beat: distributions that know nothing, or nothing but the frame before.

The note unigram gives every cell one probability. The bigram gives every cell two, one for where it was one
in the frame before and one for where it was zero. Repeating the last frame is the bigram that all pitches of
a channel share: one probability that a note goes on, one that it starts. All are fitted on the training
pieces; before its first frame a piece is silent.

Counts start at one half for either outcome, so that nothing is impossible.

References:
    Krichevsky and Trofimov 1981, "The performance of universal encoding", IEEE Trans. Inf. Theory 27(2).
    Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, table 1 (other baselines on these data).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus import Split
from musicrnn.evaluation.metrics import FrameMetrics
from musicrnn.evaluation.transitions import Transitions, count_transitions


@dataclass(frozen=True)
class Baselines:
    """Nats per frame of each baseline on a split.

    Attributes:
        unigram: Of the note unigram.
        bigram: Of the bigram of each cell.
        repeat: Of repeating the last frame, with two probabilities for each channel.
        repeat_metrics: Frame metrics of the last frame as a guess of the next.
    """

    unigram: float
    bigram: float
    repeat: float
    repeat_metrics: FrameMetrics


def measure_baselines(train: Split, split: Split, *, skip_first_frame: bool = False) -> Baselines:
    """Fit the baselines on training pieces and measure them on a split.

    Args:
        train: The pieces to fit.
        split: The pieces to score.
        skip_first_frame: Leave the first frame of every piece of ``split`` out of sums and counts.

    Raises:
        CorpusError: Frames of a piece aren't those that were written.
    """
    fitted = count_transitions(train)
    found = fitted if train is split else count_transitions(split)
    counts, pitches = _counted(found, skip_first_frame), split.layout.pitches
    shared = fitted.counts.reshape(2, 2, -1, pitches).sum(axis=3)
    return Baselines(
        unigram=_nll(np.broadcast_to(_rates(fitted.counts.sum(axis=0)), counts[0].shape), counts),
        bigram=_nll(_rates(fitted.counts.swapaxes(0, 1)), counts),
        repeat=_nll(np.repeat(_rates(shared.swapaxes(0, 1)), pitches, axis=1), counts),
        repeat_metrics=FrameMetrics(
            true_positives=int(counts[1, 1, :pitches].sum()),
            false_positives=int(counts[1, 0, :pitches].sum()),
            false_negatives=int(counts[0, 1, :pitches].sum()),
        ),
    )


def unigram_rates(split: Split) -> NDArray[np.float64]:
    """Fit the note unigram: how often each cell is one.

    Returns:
        Probabilities inside (0, 1), shape (D,).
    """
    return _rates(count_transitions(split).counts.sum(axis=0))


def unigram_nll(rates: NDArray[np.float64], split: Split, *, skip_first_frame: bool = False) -> float:
    """Return the negative log-likelihood of a split under independent cells, nats per frame.

    Args:
        rates: Probability that each cell is one, shape (D,).
        split: The pieces to score.
        skip_first_frame: Leave the first frame of every piece out of sum and count.
    """
    counts = _counted(count_transitions(split), skip_first_frame)
    return _nll(np.broadcast_to(rates, counts[0].shape), counts)


def _counted(found: Transitions, skip_first_frame: bool) -> NDArray[np.int64]:
    return found.between_frames() if skip_first_frame else found.counts


def _rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of a one from counts of zeros and of ones, shape (2, …) to shape (…)."""
    return np.asarray((counts[1] + 0.5) / (counts.sum(axis=0) + 1))


def _nll(rates: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Return nats per frame.

    Args:
        rates: Probability that a cell is one after zero and after one, shape (2, D).
        counts: How often each happens, shape (2, 2, D).
    """
    frames = int(counts[..., 0].sum())
    nats = -(counts[:, 1] * np.log(rates) + counts[:, 0] * np.log1p(-rates)).sum()
    return float(nats / frames) if frames else float("nan")
