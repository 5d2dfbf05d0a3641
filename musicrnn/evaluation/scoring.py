"""One pass of a network over the pieces of a split, in which every measure is accumulated.

Counts by cell are taken over the likely cells alone, a few; those of the others follow from the totals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicrnn.corpus import Split
from musicrnn.corpus.batches import evaluation_batches
from musicrnn.evaluation.calibration import BINS, LIKELY, count_calibration
from musicrnn.nn import MusicRNN

BATCH = 32
"""Pieces in a batch."""

_LEAST = 2**-24
"""Distance to one of the largest float32 below it; bounds the nats of a silent cell in the profile."""


@dataclass
class Scores:
    """What is measured on the N pieces of a split.

    ``nats`` and ``first_nats`` include first frames under either convention; everything else includes them
    only if they aren't skipped.

    Attributes:
        nats: Nats of each piece, shape (N,).
        first_nats: Nats of each piece's first frame, shape (N,).
        position_nats: Nats of all frames at each position, shape (T,).
        pitch_nats: Nats of each pitch, all its channels together, shape (P,).
        positives: True positives, false positives, false negatives of the most probable notes, shape (3,).
        calibration: Sums over the cells of each bin, shape (3, BINS + 1).
    """

    nats: NDArray[np.float64]
    first_nats: NDArray[np.float64]
    position_nats: NDArray[np.float64]
    pitch_nats: NDArray[np.float64]
    positives: NDArray[np.int64]
    calibration: NDArray[np.float64]


def score_split(
    model: MusicRNN, split: Split, *, skip_first_frame: bool = False, device: str = "cpu"
) -> Scores:
    """Run a network over all pieces of a split.

    Args:
        model: The network, in evaluation mode, on the device.
        split: The pieces.
        skip_first_frame: Leave the first frame of every piece out of the counts.
        device: A torch device.

    Raises:
        CorpusError: Frames of a piece are damaged.
    """
    skip = int(skip_first_frame)
    scores = Scores(
        nats=np.zeros(len(split)),
        first_nats=np.zeros(len(split)),
        position_nats=np.zeros(int(split.lengths.max())),
        pitch_nats=np.zeros(split.layout.pitches),
        positives=np.zeros(3, np.int64),
        calibration=np.zeros((3, BINS + 1)),
    )
    with torch.no_grad(), model.fitting_threads(BATCH, split.frames / len(split), training=False):
        for batch in evaluation_batches(split, BATCH):
            frames, inputs, mask = (torch.from_numpy(array).to(device) for array in batch[:3])
            scored = model.score(frames, mask, inputs, marginals=True)
            assert scored.marginals is not None
            nats = scored.nats.double().cpu().numpy()  # zero on padding
            scores.nats[batch.pieces], scores.first_nats[batch.pieces] = nats.sum(axis=1), nats[:, 0]
            scores.position_nats[skip : nats.shape[1]] += nats.sum(axis=0)[skip:]
            mask[:, :skip], frames[:, :skip] = False, 0
            probabilities = scored.marginals * mask[..., None]
            _count_cells(scores, probabilities.flatten(0, 1), frames.flatten(0, 1), int(mask.sum()))
    return scores


def _count_cells(scores: Scores, probabilities: Tensor, frames: Tensor, count: int) -> None:
    """Add the cells of frames, shape (R, D), of which ``count`` are counted; the others are all zero."""
    pitches, width = len(scores.pitch_nats), frames.shape[1]
    rows = probabilities.new_ones(len(frames))
    total = (rows @ probabilities).double().sum().item()
    silent = (rows @ (1 - probabilities).clamp_(min=_LEAST).log_()).double().cpu().numpy()
    predicted, observed = (tensor.reshape(-1).cpu().numpy() for tensor in (probabilities, frames))
    cells, ones = np.flatnonzero(predicted >= LIKELY), np.flatnonzero(observed > 0)
    likely, present = predicted[cells], observed[cells] > 0
    others = count * width - len(cells)
    their_sum = max(0.0, total - likely.sum(dtype=np.float64)) if others else 0.0
    rest = (others, their_sum, len(ones) - present.sum())
    scores.calibration += count_calibration(likely, present, rest)
    positive = likely >= 0.5 if width == pitches else (likely >= 0.5) & (cells % width < pitches)
    columns, hits = ones % width, int((positive & present).sum())
    notes = int((columns < pitches).sum())
    scores.positives += (hits, int(positive.sum()) - hits, notes - hits)
    of_ones = predicted[ones].astype(np.float64)
    log_odds = np.log(of_ones.clip(1e-38)) - np.log((1 - of_ones).clip(_LEAST))
    log_likelihood = silent + np.bincount(columns, log_odds, width)
    scores.pitch_nats -= log_likelihood.reshape(-1, pitches).sum(axis=0)
