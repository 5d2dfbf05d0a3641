"""The trials of a hyper-parameter search: validation NLL beside each setting, and the best so far."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.plots.figure import COLOURS, label_integers, padded, saved_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_GOLDEN = (math.sqrt(5) - 1) / 2
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "complete": {"marker": "o", "markersize": 5, "color": COLOURS[0], "alpha": 0.8},
    "pruned": {"marker": "o", "markersize": 5, "color": COLOURS[5], "fillstyle": "none"},
    "failed": {"marker": "x", "markersize": 5, "color": COLOURS[5]},
}
_BEST: Mapping[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 9,
    "color": COLOURS[1],
    "fillstyle": "none",
    "markeredgewidth": 1.8,
}


@dataclass(frozen=True)
class TrialPoint:
    """A trial to plot.

    Attributes:
        number: Counted from 0.
        state: ``complete``, ``pruned``, ``failed`` or ``running``.
        valid_nll: Lowest validation NLL, nats per frame, or None.
        settings: The settings that were searched, by name.
    """

    number: int
    state: str
    valid_nll: float | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SettingAxis:
    """The axis of a searched setting.

    Attributes:
        labels: For a setting with a few choices the label of each value; empty for numbers.
        bounds: The least number and the greatest.
        log: Whether the axis is logarithmic.
    """

    labels: Mapping[Any, str] = field(default_factory=dict)
    bounds: tuple[float, float] = (0.0, 1.0)
    log: bool = False


def plot_sweep(
    trials: Sequence[TrialPoint], settings: Mapping[str, SettingAxis], path: Path | str, title: str
) -> None:
    """Plot the validation NLL beside each searched setting, and the best so far over the trials.

    Args:
        trials: Trials from best to worst, at least one of them complete.
        settings: The axis of each setting, by name; each has a panel.
        path: The picture; its suffix is .png, .svg or .pdf.
        title: Title of the picture.

    Raises:
        FileError: The suffix is another, or the file can't be written.
    """
    panels = len(settings) + 1
    columns = 2 if panels == 4 else min(_COLUMNS, panels)
    height = -(-panels // columns)
    limits = _limits([trial.valid_nll for trial in trials if trial.valid_nll is not None])
    with saved_figure(path, 3.6 * columns + 0.4, 3.0 * height + 0.7, title) as figure:
        axes = figure.subplots(height, columns, squeeze=False, sharey=True).flatten()
        for place, (name, setting) in zip(axes, settings.items(), strict=False):
            _plot_setting(place, trials, name, setting, limits)
        _plot_progress(axes[len(settings)], trials, limits)
        for place in axes[panels:]:
            place.set_visible(False)
        for row in range(height):
            axes[row * columns].set_ylabel("validation NLL per frame (nats)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            title="upper edge: failed, or far worse than most",
            alignment="left",
            loc="outside lower left",
            ncols=len(labels),
            frameon=False,
        )


def _limits(nlls: Sequence[float]) -> tuple[float, float]:
    """Return the NLLs to show: those far worse than most are shown at the upper edge."""
    finite = [nll for nll in nlls if math.isfinite(nll)] or [0.0]
    low = min(finite)
    spread = 4 * (statistics.median(finite) - low)
    return padded(low, min(max(finite), low + spread) if spread else max(finite), share=0.08, least=0.1)


def _plot_setting(
    axes: Axes, trials: Sequence[TrialPoint], name: str, setting: SettingAxis, limits: tuple[float, float]
) -> None:
    """Plot the NLL of every trial over its value of a setting."""
    places = {value: index for index, value in enumerate(setting.labels)}
    if places:
        axes.set_xticks(range(len(places)), list(setting.labels.values()), parse_math=False)
        axes.set_xlim(-0.6, len(places) - 0.4)
    elif setting.log:
        low, high = setting.bounds
        margin = max(1.05, (high / low) ** 0.05)
        axes.set_xscale("log")
        axes.set_xlim(low / margin, high * margin)

    def point(trial: TrialPoint) -> tuple[float, float]:
        value = trial.settings[name]
        beside = 0.4 * (trial.number * _GOLDEN % 1 - 0.5)  # spreads trials of the same choice, always alike
        nll = math.inf if trial.valid_nll is None or trial.state == "failed" else trial.valid_nll
        return places[value] + beside if places else value, min(nll, limits[1])

    shown = [trial for trial in trials if name in trial.settings]
    for state, style in _STYLES.items():
        if points := [point(trial) for trial in shown if trial.state == state]:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, linestyle="", label=state, clip_on=False, **style)
    axes.plot(*point(shown[0]), label="best", clip_on=False, **_BEST)
    axes.set_ylim(*limits)
    style_axes(axes, name, grid="both")


def _plot_progress(axes: Axes, trials: Sequence[TrialPoint], limits: tuple[float, float]) -> None:
    """Plot the best NLL so far over the trials."""
    numbers, best = list[int](), list[float]()
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state == "complete" and trial.valid_nll is not None:
            axes.plot(trial.number, min(trial.valid_nll, limits[1]), clip_on=False, **_STYLES["complete"])
            numbers.append(trial.number)
            best.append(min([trial.valid_nll, *best[-1:]]))
    axes.step(numbers, best, where="post", color=COLOURS[1], linewidth=1.8)
    label_integers(axes.xaxis)
    style_axes(axes, "trial, and the best so far", grid="both")
