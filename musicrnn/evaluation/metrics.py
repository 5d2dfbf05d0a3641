"""Frame metrics: how well the notes of the next frame are guessed.

A cell is predicted to sound where its probability is at least one half. With TP, FP and FN summed over
all real frames and pitches: precision = TP / (TP + FP), recall = TP / (TP + FN), F1 is their harmonic
mean, accuracy = TP / (TP + FP + FN). True negatives don't count, so silence earns nothing. With onset
channels only the ``frame`` channel, what sounds, is compared.

References:
    Bay, Ehmann and Downie 2009, "Evaluation of multiple-F0 estimation and tracking systems", ISMIR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameMetrics:
    """Counts of cells, pooled over frames, and the scores that follow from them.

    Attributes:
        true_positives: Cells predicted and there.
        false_positives: Cells predicted that weren't there.
        false_negatives: Cells there that weren't predicted.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: FrameMetrics) -> FrameMetrics:
        return FrameMetrics(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN); zero where there is nothing to count."""
        return _share(self.true_positives, self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); zero where nothing was predicted."""
        return _share(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); zero where nothing was there."""
        return _share(self.true_positives, self.false_negatives)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); zero where there is nothing to count."""
        return _share(2 * self.true_positives, self.false_positives + self.false_negatives)


def frame_metrics(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> FrameMetrics:
    """Count what was predicted rightly and wrongly.

    Args:
        predicted: Which cells were predicted to sound, shape (..., P).
        truth: Which sounded, same shape.
    """
    return FrameMetrics(
        int((predicted & truth).sum()), int((predicted & ~truth).sum()), int((~predicted & truth).sum())
    )


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0
