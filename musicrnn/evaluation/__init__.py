"""Likelihood, frame metrics, baselines."""

from musicrnn.evaluation.baselines import unigram_nll, unigram_rates
from musicrnn.evaluation.likelihood import Evaluation, PieceLikelihood, check_fits, evaluate
from musicrnn.evaluation.metrics import FrameMetrics, frame_metrics

__all__ = [
    "Evaluation",
    "FrameMetrics",
    "PieceLikelihood",
    "check_fits",
    "evaluate",
    "frame_metrics",
    "unigram_nll",
    "unigram_rates",
]
