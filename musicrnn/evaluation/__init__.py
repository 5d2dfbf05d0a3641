"""Likelihood, frame metrics, baselines, calibration, comparison, dynamic evaluation."""

from musicrnn.evaluation.comparison import Comparison, compare
from musicrnn.evaluation.dynamic import Adaptation, evaluate_dynamically
from musicrnn.evaluation.likelihood import Evaluation, evaluate

__all__ = ["Adaptation", "Comparison", "Evaluation", "compare", "evaluate", "evaluate_dynamically"]
