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

from musicrnn.corpus import Corpus
from musicrnn.corpus.batches import evaluation_batches
from musicrnn.errors import ModelError
from musicrnn.evaluation.baselines import unigram_nll, unigram_rates
from musicrnn.evaluation.metrics import FrameMetrics, frame_metrics
from musicrnn.music import Layout
from musicrnn.nn import MusicRNN

BATCH = 32
"""Pieces scored side by side."""


@dataclass(frozen=True)
class PieceLikelihood:
    """One piece: its name, the frames that were counted, and its nats per frame."""

    name: str
    frames: int
    nll_per_frame: float


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of a split.

    Attributes:
        split: Name of the split.
        pieces: Every piece, in the order of the corpus.
        frames: Frames counted.
        nll_per_frame: Nats per frame.
        nll_per_note: All nats, divided by the number of sounding pitches summed over the frames.
        metrics: Frame metrics of the most probable notes.
        baseline_nll: Nats per frame of the note unigram fitted on the training pieces, or None where the
            corpus has none.
        seconds: Time it took.
    """

    split: str
    pieces: list[PieceLikelihood]
    frames: int
    nll_per_frame: float
    nll_per_note: float
    metrics: FrameMetrics
    baseline_nll: float | None
    seconds: float


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
    started = time.monotonic()
    check_fits(model, corpus)
    pieces, skip, pitches = corpus[split], int(skip_first_frame), corpus.layout.pitches
    model = model.to(device).eval()
    nats, metrics, notes = np.zeros(len(pieces)), FrameMetrics(), 0
    with torch.no_grad(), model.fitting_threads(BATCH, pieces.frames / max(1, len(pieces))):
        for batch in evaluation_batches(pieces, BATCH):
            frames, mask = (torch.from_numpy(array).to(device) for array in (batch.frames, batch.mask))
            nll, parameters, _ = model.score(frames, mask)
            nats[batch.pieces] = nll[:, skip:].double().sum(dim=1).cpu().numpy()
            real = mask.cpu().numpy()[:, skip:]
            sounding = batch.frames[:, skip:, :pitches][real] > 0
            probable = model.head.probabilities(parameters)[:, skip:, :pitches].cpu().numpy()[real] >= 0.5
            metrics += frame_metrics(probable, sounding)
            notes += int(sounding.sum())
    counted = (pieces.lengths - skip).tolist()
    frames_counted = sum(counted)
    return Evaluation(
        split=split,
        pieces=[
            PieceLikelihood(piece.name, frames, float(total / frames) if frames else 0.0)
            for piece, frames, total in zip(pieces.pieces, counted, nats, strict=True)
        ],
        frames=frames_counted,
        nll_per_frame=float(nats.sum() / frames_counted) if frames_counted else float("nan"),
        nll_per_note=float(nats.sum() / notes) if notes else float("nan"),
        metrics=metrics,
        baseline_nll=(
            unigram_nll(unigram_rates(corpus["train"]), pieces, skip_first_frame=skip_first_frame)
            if "train" in corpus
            else None
        ),
        seconds=time.monotonic() - started,
    )


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
