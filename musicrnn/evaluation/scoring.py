"""A network's pass over the pieces of a split: everything that is measured, counted in one go.

Nearly all cells are silent and known to be. What is counted cell by cell is therefore counted over the likely
cells alone; the others are what is left of the totals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicrnn.corpus import Split
from musicrnn.corpus.batches import Batch, evaluation_batches
from musicrnn.evaluation.calibration import LIKELY, Calibration, count_calibration
from musicrnn.evaluation.metrics import FrameMetrics
from musicrnn.nn import MusicRNN

BATCH = 32
"""Pieces scored side by side."""

_LEAST = 2**-24
"""How near to one a float32 can be: that bounds what a silent cell can cost in the profile by pitch."""


@dataclass
class Scores:
    """What a network makes of the N pieces of a split.

    First frames count in ``nats`` and ``first_nats``, whatever the convention; in all the rest only where
    they aren't skipped.

    Attributes:
        nats: Nats of each piece, shape (N,).
        first_nats: Nats of each piece's first frame, shape (N,).
        position_nats: Nats of all frames at each position, shape (T,).
        pitch_nats: Nats of each pitch, all its channels together, shape (P,).
        metrics: Frame metrics of the most probable notes.
        calibration: Probabilities of cells beside what became of them.
    """

    nats: NDArray[np.float64]
    first_nats: NDArray[np.float64]
    position_nats: NDArray[np.float64]
    pitch_nats: NDArray[np.float64]
    metrics: FrameMetrics = field(default_factory=FrameMetrics)
    calibration: Calibration = field(default_factory=Calibration)


def score_split(
    model: MusicRNN, split: Split, *, skip_first_frame: bool = False, device: str = "cpu"
) -> Scores:
    """Run a network over all pieces of a split.

    Args:
        model: The network, in evaluation mode, on the device.
        split: The pieces.
        skip_first_frame: Leave the first frame of every piece out of what is counted.
        device: A torch device.

    Raises:
        CorpusError: Frames of a piece aren't those that were written.
    """
    scores = Scores(
        nats=np.zeros(len(split)),
        first_nats=np.zeros(len(split)),
        position_nats=np.zeros(int(split.lengths.max())),
        pitch_nats=np.zeros(split.layout.pitches),
    )
    with torch.no_grad(), model.fitting_threads(BATCH, split.frames / len(split)):
        for batch in evaluation_batches(split, BATCH):
            frames, heard, mask = (torch.from_numpy(array).to(device) for array in batch[:3])
            nats, parameters, _ = model.score(frames, mask, heard)
            _count_nats(scores, batch, nats.double().cpu().numpy(), skip_first_frame)
            counted, frames = _counted(mask, frames, skip_first_frame)
            probabilities = model.head.probabilities(parameters) * counted[..., None]
            _count_cells(scores, probabilities.flatten(0, 1), frames.flatten(0, 1), int(counted.sum()))
    return scores


def _counted(mask: Tensor, frames: Tensor, skip_first_frame: bool) -> tuple[Tensor, Tensor]:
    """Return which frames count in what is counted cell by cell, shape (B, T), and those, others silent."""
    if not skip_first_frame:
        return mask, frames
    mask, frames = mask.clone(), frames.clone()
    mask[:, 0], frames[:, 0] = False, 0
    return mask, frames


def _count_nats(scores: Scores, batch: Batch, nats: NDArray[np.float64], skip_first_frame: bool) -> None:
    """Count nats, shape (B, T), zero on padding."""
    scores.nats[batch.pieces] = nats.sum(axis=1)
    scores.first_nats[batch.pieces] = nats[:, 0]
    scores.position_nats[int(skip_first_frame) : nats.shape[1]] += nats.sum(axis=0)[int(skip_first_frame) :]


def _count_cells(scores: Scores, probabilities: Tensor, frames: Tensor, count: int) -> None:
    """Count cells of frames, shape (R, D), of which so many are real; the others have zeros only."""
    pitches, width = len(scores.pitch_nats), frames.shape[1]
    rows = probabilities.new_ones(len(frames))
    given_sums = (rows @ probabilities).double().sum().item()
    silent = (rows @ (1 - probabilities).clamp_(min=_LEAST).log_()).double().cpu().numpy()
    given, true = (tensor.reshape(-1).cpu().numpy() for tensor in (probabilities, frames))
    at = np.flatnonzero(given >= LIKELY)
    likely, heard = given[at], true[at] > 0
    ones = np.flatnonzero(true > 0)
    columns, surprises = ones % width, given[ones].astype(np.float64)
    others = count * width - len(at)
    their_sum = max(0.0, given_sums - likely.sum(dtype=np.float64)) if others else 0.0
    rest = (others, their_sum, len(ones) - heard.sum())
    scores.calibration += count_calibration(likely, heard, rest)
    guessed = likely >= 0.5 if width == pitches else (likely >= 0.5) & (at % width < pitches)
    hits = int((guessed & heard).sum())
    notes = int((columns < pitches).sum())
    scores.metrics += FrameMetrics(hits, int(guessed.sum()) - hits, notes - hits)
    gained = np.log(surprises.clip(1e-38)) - np.log((1 - surprises).clip(_LEAST))
    found = silent + np.bincount(columns, gained, width)
    scores.pitch_nats -= found.reshape(-1, pitches).sum(axis=0)
