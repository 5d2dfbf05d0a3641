"""What ``evaluate`` shows: JSON documents, lines of text and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.cli.present.text import labelled

if TYPE_CHECKING:
    from musicrnn.evaluation import Comparison, Evaluation
    from musicrnn.evaluation.bootstrap import Interval
    from musicrnn.evaluation.dynamic import DynamicEvaluation
    from musicrnn.evaluation.metrics import FrameMetrics
    from musicrnn.music import Layout

_METRICS = ("accuracy", "precision", "recall", "f1")
_LABEL = 15


def document(found: Evaluation) -> dict[str, Any]:
    """Return what was measured, as JSON values."""
    baselines = found.baselines
    return {
        "split": found.split,
        "pieces": len(found.pieces),
        **_values(found, "frames", "skip_first_frame", "nll_per_frame", "nll_per_note", "nll_per_piece"),
        "nll_per_frame_first_included": found.first_included.nll_per_frame,
        "nll_per_frame_first_skipped": found.first_skipped.nll_per_frame,
        "nll_mean_of_pieces": found.nll_mean_of_pieces,
        "nll_mean_of_pieces_first_included": found.first_included.nll_mean_of_pieces,
        "nll_mean_of_pieces_first_skipped": found.first_skipped.nll_mean_of_pieces,
        "confidence_interval": found.interval and asdict(found.interval),
        **_values(found.metrics, *_METRICS),
        "baseline_nll": baselines and baselines.unigram,
        "baselines": baselines and _values(baselines, "unigram", "bigram", "repeat"),
        "repeat_metrics": baselines and _values(baselines.repeat_metrics, *_METRICS),
        "calibration": {
            "ece": found.calibration.error,
            "ece_likely": found.calibration.likely_error,
            "bins": [asdict(part) for part in found.calibration.bins],
        },
        "seconds": round(found.seconds, 3),
    }


def profile_document(found: Evaluation, layout: Layout) -> dict[str, Any]:
    """Return NLL per pitch and per position, as JSON values."""
    pitches = found.nll_per_pitch.tolist()
    return {
        "nll_per_pitch": {str(layout.low + index): nats for index, nats in enumerate(pitches)},
        "nll_per_position": [positions._asdict() for positions in found.nll_per_position],
    }


def comparison_document(name: str, other: Evaluation, found: Comparison) -> dict[str, Any]:
    """Return another model and what sets the model apart from it, as JSON values."""
    measured, names = document(other), ("nll_per_frame", "nll_per_note", *_METRICS, "calibration")
    return {"model": name, **{key: measured[key] for key in names}, **asdict(found)}


def dynamic_document(found: DynamicEvaluation, gain: Comparison) -> dict[str, Any]:
    """Return what adapting brought, as JSON values."""
    return {
        "nll_per_frame": found.nll_per_frame,
        "nll_per_frame_first_included": found.first_included.nll_per_frame,
        "nll_per_frame_first_skipped": found.first_skipped.nll_per_frame,
        **_values(found, "nll_mean_of_pieces", "frames"),
        "confidence_interval": found.interval and asdict(found.interval),
        "against_static": asdict(gain),
        **asdict(found.adaptation),
        "seconds": round(found.seconds, 3),
    }


def words(found: Evaluation) -> list[str]:
    """Return what was measured as lines of text."""
    conventions, baselines = (found.first_included, found.first_skipped), found.baselines
    both = "{} first frame included, {} first frame left out"
    rows = [
        ("NLL per frame", f"{_number(found.nll_per_frame)} nats{_between(found.interval)}"),
        ("  pooled over frames   ", both.format(*(_number(each.nll_per_frame) for each in conventions))),
        ("  mean of pieces       ", both.format(*(_number(each.nll_mean_of_pieces) for each in conventions))),
        ("NLL per note", f"{_number(found.nll_per_note)} nats"),
        ("NLL per piece", f"{_number(found.nll_per_piece, 1)} nats on average"),
    ]
    if baselines is not None:
        figures = (
            f"note unigram {_number(baselines.unigram)}, note bigram {_number(baselines.bigram)}, "
            f"last frame repeated {_number(baselines.repeat)} nats per frame"
        )
        rows += [("baselines", figures), ("  last repeated  ", _metrics_words(baselines.repeat_metrics))]
    calibration = found.calibration
    errors = (
        f"expected error {_number(calibration.error, 4)} over all cells, "
        f"{_number(calibration.likely_error, 4)} over those predicted with 0.01 or more"
    )
    bins = [part for part in calibration.bins if part.cells]
    rows += [
        ("next frame", _metrics_words(found.metrics)),
        ("calibration", errors),
        ("  predicted probability ", " ".join(f"{part.confidence:.3f}" for part in bins)),
        ("  observed frequency    ", " ".join(f"{part.frequency:.3f}" for part in bins)),
    ]
    return labelled(rows, _LABEL)


def comparison_words(name: str, other: Evaluation, found: Comparison) -> list[str]:
    """Return the comparison with another model as lines of text."""
    tests = (
        f"p = {found.permutation_p:.2g} by the permutation test, "
        f"p = {found.wilcoxon_p:.2g} by Wilcoxon's signed-rank test, paired by piece"
    )
    first = f"against {name}: {_number(other.nll_per_frame)} nats per frame{_between(other.interval)}"
    return [first, *labelled([("  difference", _difference(found)), ("  significance", tests)], 17)]


def dynamic_words(found: DynamicEvaluation, gain: Comparison) -> list[str]:
    """Return what adapting changes as lines of text."""
    how, nll = found.adaptation, f"{_number(found.nll_per_frame)} nats per frame{_between(found.interval)}"
    adapting = (
        f"to each piece from the trained weights, after every {how.segment} frames scored; "
        f"rate {how.rate:g}, decay {how.decay:g}"
    )
    first = f"dynamic evaluation: {nll}, in {found.seconds:.1f} s"
    return [first, *labelled([("  difference", _difference(gain)), ("  adapting", adapting)], 17)]


def plot(models: Mapping[str, Evaluation], layout: Layout, title: str, path: Path) -> None:
    """Plot NLL per pitch and per position, and the reliability curve, of models by name.

    Raises:
        FileError: The picture's suffix is unknown, or it can't be written.
    """
    import numpy as np

    from musicrnn.plots.likelihood import LikelihoodProfile, plot_profiles

    profiles = []
    for name, found in models.items():
        positions = [(part.first, part.last, part.nll_per_frame) for part in found.nll_per_position]
        bins = [(part.confidence, part.frequency, part.cells) for part in found.calibration.bins]
        tables = (np.array(rows, np.float64).reshape(-1, 3) for rows in (positions, bins))
        profiles.append(
            LikelihoodProfile(name, layout.low, found.nll_per_frame, found.nll_per_pitch, *tables)
        )
    plot_profiles(profiles, path, title)


def _values(found: object, *names: str) -> dict[str, Any]:
    return {name: getattr(found, name) for name in names}


def _metrics_words(metrics: FrameMetrics) -> str:
    return ", ".join(f"{name.replace('f1', 'F1')} {getattr(metrics, name):.3f}" for name in _METRICS)


def _difference(found: Comparison) -> str:
    equal = f", equal on {found.equal}" if found.equal else ""
    return (
        f"{found.difference:+.4f} nats per frame{_between(found.interval, '+.4f')}; "
        f"better on {found.better} pieces, worse on {found.worse}{equal}"
    )


def _between(interval: Interval | None, form: str = ".3f") -> str:
    if interval is None:
        return ""
    ends = f"{interval.low:{form}} to {interval.high:{form}}"
    return f" ({interval.level:.0%} confidence interval over pieces {ends})"


def _number(value: float, digits: int = 3) -> str:
    return "none" if math.isnan(value) else f"{value:,.{digits}f}"
