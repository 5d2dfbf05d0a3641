"""Likelihood, frame metrics, baselines, calibration, comparison, dynamic evaluation."""

from musicrnn.evaluation.baselines import Baselines, measure_baselines, unigram_nll, unigram_rates
from musicrnn.evaluation.bootstrap import Interval, bootstrap_interval
from musicrnn.evaluation.calibration import Bin, Calibration
from musicrnn.evaluation.comparison import Comparison, compare
from musicrnn.evaluation.dynamic import Adaptation, DynamicEvaluation, evaluate_dynamically
from musicrnn.evaluation.likelihood import Averages, Evaluation, check_fits, evaluate
from musicrnn.evaluation.metrics import FrameMetrics, frame_metrics
from musicrnn.evaluation.piece import PieceLikelihood
from musicrnn.evaluation.profile import Profile, Stretch

__all__ = [
    "Adaptation",
    "Averages",
    "Baselines",
    "Bin",
    "Calibration",
    "Comparison",
    "DynamicEvaluation",
    "Evaluation",
    "FrameMetrics",
    "Interval",
    "PieceLikelihood",
    "Profile",
    "Stretch",
    "bootstrap_interval",
    "check_fits",
    "compare",
    "evaluate",
    "evaluate_dynamically",
    "frame_metrics",
    "measure_baselines",
    "unigram_nll",
    "unigram_rates",
]
