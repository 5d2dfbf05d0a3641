"""The likelihood of held-out music under a model, as the literature measures it.

The measure is -log p(frame), summed over the D cells, averaged over all real frames of the split (not piece
by piece), in nats. The first frame of a piece is predicted from a zero input and counted;
``skip_first_frame`` gives the other convention in use.

References:
    Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, section 6.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from musicrnn.corpus import Corpus
from musicrnn.errors import ModelError
from musicrnn.evaluation.baselines import Baselines, measure_baselines
from musicrnn.evaluation.bootstrap import Interval, bootstrap_interval
from musicrnn.evaluation.calibration import Calibration, calibration_of
from musicrnn.evaluation.metrics import FrameMetrics
from musicrnn.evaluation.scoring import score_split
from musicrnn.music import Layout
from musicrnn.nn import MusicRNN

RANGES_PER_OCTAVE = 4
"""Position ranges for every doubling of the position."""


@dataclass(frozen=True)
class PieceLikelihood:
    """One piece: its name, the number of frames counted, and its nats per frame."""

    name: str
    frames: int
    nll_per_frame: float


@dataclass(frozen=True)
class SplitLikelihood:
    """The likelihood of the N pieces of a split, under either convention for first frames.

    Attributes:
        skip_first_frame: Whether the first frame of every piece is left out of sums and counts.
        names: Name of each piece, in the order of the corpus.
        piece_frames: Frames of each piece, first frames included, shape (N,).
        piece_nats: Nats of each piece, first frames included, shape (N,).
        first_nats: Nats of each piece's first frame, shape (N,).
    """

    skip_first_frame: bool
    names: list[str]
    piece_frames: NDArray[np.int64]
    piece_nats: NDArray[np.float64]
    first_nats: NDArray[np.float64]

    @property
    def first_included(self) -> SplitLikelihood:
        """The likelihood with the first frame of every piece counted."""
        return SplitLikelihood(False, self.names, self.piece_frames, self.piece_nats, self.first_nats)

    @property
    def first_skipped(self) -> SplitLikelihood:
        """The likelihood without the first frame of every piece."""
        return SplitLikelihood(True, self.names, self.piece_frames, self.piece_nats, self.first_nats)

    @property
    def frames(self) -> int:
        """Number of frames counted."""
        return int(self._counted[1].sum())

    @property
    def nll_per_frame(self) -> float:
        """All nats divided by all frames, so that long pieces weigh more: the measure of the literature."""
        return _ratio(self._counted[0].sum(), self.frames)

    @property
    def nll_per_piece(self) -> float:
        """All nats divided by the number of pieces."""
        return _ratio(self._counted[0].sum(), len(self.names))

    @property
    def nll_mean_of_pieces(self) -> float:
        """Mean over the pieces of each piece's nats per frame, so that all weigh the same."""
        nats, frames = self._counted
        means = nats[frames > 0] / frames[frames > 0]
        return _ratio(means.sum(), len(means))

    @cached_property
    def interval(self) -> Interval | None:
        """Confidence interval of ``nll_per_frame``, or None if there are fewer than two pieces."""
        return bootstrap_interval(*self._counted)

    @cached_property
    def pieces(self) -> list[PieceLikelihood]:
        """The likelihood of each piece."""
        nats, frames = (values.tolist() for values in self._counted)
        rows = zip(self.names, frames, nats, strict=True)
        return [PieceLikelihood(name, count, total / count if count else 0.0) for name, count, total in rows]

    @property
    def _counted(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Nats and frames of each piece under the convention, both of shape (N,)."""
        skip = int(self.skip_first_frame)
        return self.piece_nats - skip * self.first_nats, self.piece_frames - skip


class PositionRange(NamedTuple):
    """Consecutive positions in a piece, ``first`` to ``last``, counted from 1.

    Attributes:
        frames: Frames at these positions, in all pieces.
        nll_per_frame: Their nats per frame.
    """

    first: int
    last: int
    frames: int
    nll_per_frame: float


@dataclass(frozen=True)
class Evaluation(SplitLikelihood):
    """The likelihood of a split under a model, and what else its pass over the split gives.

    Attributes:
        split: Name of the split.
        metrics: Frame metrics of the most probable notes.
        calibration: Predicted probabilities beside observed frequencies, cell by cell.
        nll_per_pitch: Nats per frame of each pitch, all its channels together, shape (P,). They follow from
            the marginal probability of each cell, so if cells are independent they sum to the NLL per frame.
        nll_per_position: Nats per frame along the piece.
        baselines: Distributions fitted on the training pieces, or None if the corpus has none.
        seconds: Duration in seconds, reading included, loading of kernels excluded.
    """

    split: str
    metrics: FrameMetrics
    calibration: Calibration
    nll_per_pitch: NDArray[np.float64]
    nll_per_position: list[PositionRange]
    baselines: Baselines | None
    seconds: float

    @property
    def nll_per_note(self) -> float:
        """All nats divided by the number of sounding pitches summed over the frames."""
        return _ratio(self._counted[0].sum(), self.metrics.true_positives + self.metrics.false_negatives)


def evaluate(
    model: MusicRNN,
    corpus: Corpus,
    split: str = "test",
    *,
    skip_first_frame: bool = False,
    device: str = "cpu",
) -> Evaluation:
    """Measure a model on a split of a corpus: ``train``, ``valid`` or ``test``.

    Args:
        model: The network.
        corpus: The corpus.
        split: The name of the split.
        skip_first_frame: Leave the first frame of every piece out of sums and counts.
        device: A torch device.

    Raises:
        CorpusError: The corpus has no such split, or its frames are damaged.
        ModelError: The model was made for frames of another layout.
    """
    check_fits(model, corpus)
    pieces = corpus[split]
    model = model.to(device).eval()
    with torch.no_grad():
        model.nll(torch.zeros(1, 1, model.input_size, device=device))  # loads kernels
    started = time.monotonic()
    scores = score_split(model, pieces, skip_first_frame=skip_first_frame, device=device)
    baselines = None
    if "train" in corpus:
        baselines = measure_baselines(corpus["train"], pieces, skip_first_frame=skip_first_frame)
    position_frames = np.cumsum(np.bincount(pieces.lengths)[:0:-1])[::-1].copy()
    position_frames[: int(skip_first_frame)] = 0
    return Evaluation(
        skip_first_frame=skip_first_frame,
        names=[piece.name for piece in pieces.pieces],
        piece_frames=pieces.lengths,
        piece_nats=scores.nats,
        first_nats=scores.first_nats,
        split=split,
        metrics=FrameMetrics(*scores.positives.tolist()),
        calibration=calibration_of(scores.calibration),
        nll_per_pitch=scores.pitch_nats / max(1, position_frames.sum()),
        nll_per_position=position_ranges(scores.position_nats, position_frames),
        baselines=baselines,
        seconds=time.monotonic() - started,
    )


def position_ranges(nats: NDArray[np.float64], frames: NDArray[np.int64]) -> list[PositionRange]:
    """Return the NLL along the piece: position by position at first, then in ever longer ranges.

    Args:
        nats: Nats of all frames at each position, first frames at index 0, shape (T,).
        frames: Number of these frames, shape (T,); ranges without any are left out.
    """
    length, powers = len(nats), np.arange(1, 32 * RANGES_PER_OCTAVE) / RANGES_PER_OCTAVE
    ends = np.unique(np.round(2**powers).astype(np.int64))
    ends = ends[ends < length].tolist()
    if len(ends) > 1 and length - ends[-1] < (ends[-1] - ends[-2]) / 2:  # merge a short last range
        ends.pop()
    found = []
    for start, end in zip([0, *ends], [*ends, length], strict=True):
        count = int(frames[start:end].sum())
        if count:
            found.append(PositionRange(start + 1, end, count, float(nats[start:end].sum()) / count))
    return found


def check_fits(model: MusicRNN, corpus: Corpus) -> None:
    """Refuse a corpus whose frames differ in meaning from those that the model was trained on.

    Raises:
        ModelError: Width, channels, pitch range or resolution differ.
    """
    expected: object = Layout.from_dict(model.data) if "width" in model.data else corpus.layout
    if model.input_size != corpus.layout.width:
        expected = f"frames of D={model.input_size}"
    if expected != corpus.layout:
        raise ModelError(f"{corpus.directory}: expected {expected}, as the model, found {corpus.layout}")


def _ratio(total: float, count: int) -> float:
    return float(total / count) if count else float("nan")
