"""The likelihood of held-out music under a model, as the literature measures it.

The measure is -log p(frame), summed over the D cells, averaged over all real frames of the split (not
piece by piece), in nats. The first frame of a piece is predicted from a zero input and counted;
``skip_first_frame`` gives the other convention in use.

References:
    Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, section 6.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from musicrnn.corpus import Corpus, Split
from musicrnn.errors import ModelError
from musicrnn.evaluation.baselines import Baselines, measure_baselines
from musicrnn.evaluation.bootstrap import Interval, bootstrap_interval
from musicrnn.evaluation.calibration import Calibration
from musicrnn.evaluation.metrics import FrameMetrics
from musicrnn.evaluation.piece import PieceLikelihood
from musicrnn.evaluation.profile import Profile
from musicrnn.evaluation.scoring import score_split
from musicrnn.music import Layout
from musicrnn.nn import MusicRNN


@dataclass(frozen=True)
class Averages:
    """NLL per frame under one convention for first frames, averaged in both ways.

    Attributes:
        pooled: All nats divided by all frames, so that long pieces weigh more. The measure of the literature.
        of_pieces: Mean over the pieces of each piece's nats per frame, so that all weigh the same.
    """

    pooled: float
    of_pieces: float


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of a split.

    Attributes:
        split: Name of the split.
        skip_first_frame: Whether the first frame of every piece was left out.
        pieces: Every piece, in the order of the corpus.
        frames: Frames counted.
        nll_per_frame: Nats per frame.
        nll_per_note: All nats, divided by the number of sounding pitches summed over the frames.
        nll_per_piece: Mean over the pieces of all their nats.
        first_included: NLL per frame with the first frame of every piece counted.
        first_skipped: NLL per frame without it.
        interval: Confidence interval of ``nll_per_frame``, or None where there are fewer than two pieces.
        metrics: Frame metrics of the most probable notes.
        calibration: Whether probabilities are what they say, cell by cell.
        profile: Nats by pitch and by position.
        baselines: Distributions fitted on the training pieces, or None where the corpus has none.
        seconds: Time it took, reading included; kernels were loaded before.
    """

    split: str
    skip_first_frame: bool
    pieces: list[PieceLikelihood]
    frames: int
    nll_per_frame: float
    nll_per_note: float
    nll_per_piece: float
    first_included: Averages
    first_skipped: Averages
    interval: Interval | None
    metrics: FrameMetrics
    calibration: Calibration
    profile: Profile
    baselines: Baselines | None
    seconds: float

    @property
    def averages(self) -> Averages:
        """NLL per frame under the convention that was asked for."""
        return self.first_skipped if self.skip_first_frame else self.first_included

    @property
    def baseline_nll(self) -> float | None:
        """Nats per frame of the note unigram, or None where the corpus has no training pieces."""
        return None if self.baselines is None else self.baselines.unigram


def evaluate(
    model: MusicRNN,
    corpus: Corpus,
    split: str = "test",
    *,
    skip_first_frame: bool = False,
    device: str = "cpu",
) -> Evaluation:
    """Measure a model on a split of a corpus.

    Args:
        model: The network.
        corpus: The corpus.
        split: ``train``, ``valid`` or ``test``.
        skip_first_frame: Leave the first frame of every piece out of sums and counts.
        device: A torch device.

    Raises:
        CorpusError: The corpus has no such split, or its frames are damaged.
        ModelError: The model was made for frames of another layout.
    """
    check_fits(model, corpus)
    pieces, skip = corpus[split], int(skip_first_frame)
    model = model.to(device).eval()
    _load_kernels(model, device)
    started = time.monotonic()
    scores = score_split(model, pieces, skip_first_frame=skip_first_frame, device=device)
    baselines = None
    if "train" in corpus:
        baselines = measure_baselines(corpus["train"], pieces, skip_first_frame=skip_first_frame)
    nats, counted = scores.nats - skip * scores.first_nats, pieces.lengths - skip
    frames, notes = int(counted.sum()), scores.metrics.true_positives + scores.metrics.false_negatives
    positions = np.bincount(pieces.lengths, minlength=len(scores.position_nats) + 1)
    position_frames = np.cumsum(positions[::-1])[::-1][1:].copy()
    position_frames[:skip] = 0
    return Evaluation(
        split=split,
        skip_first_frame=skip_first_frame,
        pieces=piece_likelihoods(pieces, nats, counted),
        frames=frames,
        nll_per_frame=_ratio(nats.sum(), frames),
        nll_per_note=_ratio(nats.sum(), notes),
        nll_per_piece=_ratio(nats.sum(), len(pieces)),
        first_included=average(scores.nats, pieces.lengths),
        first_skipped=average(scores.nats - scores.first_nats, pieces.lengths - 1),
        interval=bootstrap_interval(nats, counted),
        metrics=scores.metrics,
        calibration=scores.calibration,
        profile=Profile(scores.pitch_nats / max(1, frames), scores.position_nats, position_frames),
        baselines=baselines,
        seconds=time.monotonic() - started,
    )


def piece_likelihoods(
    split: Split, nats: NDArray[np.float64], frames: NDArray[np.int64]
) -> list[PieceLikelihood]:
    """Return the likelihood of each piece of a split from nats and frames counted, both of shape (N,)."""
    return [
        PieceLikelihood(piece.name, count, total / count if count else 0.0)
        for piece, count, total in zip(split.pieces, frames.tolist(), nats.tolist(), strict=True)
    ]


def average(nats: NDArray[np.float64], frames: NDArray[np.int64]) -> Averages:
    """Average over pieces of so many nats and frames, both of shape (N,), in both ways."""
    some = frames > 0
    own = nats[some] / frames[some]
    return Averages(_ratio(nats.sum(), int(frames.sum())), _ratio(own.sum(), len(own)))


def _load_kernels(model: MusicRNN, device: str) -> None:
    with torch.no_grad():
        model.nll(torch.zeros(1, 1, model.config.input_size, device=device))


def _ratio(total: float, count: int) -> float:
    return float(total / count) if count else float("nan")


def check_fits(model: MusicRNN, corpus: Corpus) -> None:
    """Refuse a corpus whose frames mean something else than the model was trained on.

    Raises:
        ModelError: Width, channels, pitch range or resolution differ.
    """
    layout = Layout.from_dict(model.data) if "width" in model.data else None
    width = model.config.input_size
    if width != corpus.layout.width:
        raise ModelError(
            f"{corpus.directory}: expected frames of D={width}, as the model, found {corpus.layout}"
        )
    if layout is not None and layout != corpus.layout:
        raise ModelError(f"{corpus.directory}: expected {layout}, as the model, found {corpus.layout}")
