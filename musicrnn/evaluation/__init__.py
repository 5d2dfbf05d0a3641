"""Likelihood, frame metrics, baselines, calibration, comparison, dynamic evaluation."""

from musicrnn.evaluation.bootstrap import Interval
from musicrnn.evaluation.comparison import Comparison, compare
from musicrnn.evaluation.dynamic import Adaptation, DynamicEvaluation, evaluate_dynamically
from musicrnn.evaluation.likelihood import Evaluation, PieceLikelihood, SplitLikelihood, check_fits, evaluate
from musicrnn.evaluation.metrics import FrameMetrics

__all__ = [
    "Adaptation",
    "Comparison",
    "DynamicEvaluation",
    "Evaluation",
    "FrameMetrics",
    "Interval",
    "PieceLikelihood",
    "SplitLikelihood",
    "check_fits",
    "compare",
    "evaluate",
    "evaluate_dynamically",
]
