"""Frame metrics: how well the notes of the next frame are predicted.

A cell is predicted to sound if its probability is at least one half. With TP, FP and FN summed over all real
frames and pitches: precision = TP / (TP + FP), recall = TP / (TP + FN), F1 is their harmonic mean, accuracy =
TP / (TP + FP + FN). True negatives aren't counted, so predicting silence scores zero. With onset channels
only the ``frame`` channel (what sounds) is compared.

References:
    Bay, Ehmann and Downie 2009, "Evaluation of multiple-F0 estimation and tracking systems", ISMIR.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameMetrics:
    """Counts of cells, pooled over frames, and the scores computed from them; zero if there are no counts."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN)."""
        return _share(self.true_positives, self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _share(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return _share(self.true_positives, self.false_negatives)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return _share(2 * self.true_positives, self.false_positives + self.false_negatives)


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0
