"""The trials of a hyper-parameter search: validation NLL beside each setting, and the best so far."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.plots.figure import COLOURS, label_integers, padded, saved_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GOLDEN = (math.sqrt(5) - 1) / 2
_RING: dict[str, Any] = {"marker": "o", "fillstyle": "none"}
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "complete": {"marker": "o", "markersize": 5, "color": COLOURS[0], "alpha": 0.8},
    "pruned": {**_RING, "markersize": 5, "color": COLOURS[5]},
    "failed": {"marker": "x", "markersize": 5, "color": COLOURS[5]},
    "best": {**_RING, "markersize": 9, "color": COLOURS[1], "markeredgewidth": 1.8},
}

_Trial = Mapping[str, Any]


def plot_sweep(trials: Sequence[_Trial], space: Mapping[str, Any], path: Path | str, title: str) -> None:
    """Plot the validation NLL beside each searched setting, and the best so far over the trials.

    Args:
        trials: ``number``, ``state``, ``valid_nll`` and ``settings`` of each, from best to worst; at least
            one is complete.
        space: A list of choices, or a range with ``low``, ``high`` and ``log``, for each searched setting.
        path: The picture.
        title: Title of the picture.
    """
    panels = len(space) + 1
    columns = 2 if panels == 4 else min(3, panels)
    height = -(-panels // columns)
    nlls = [trial["valid_nll"] for trial in trials if trial["valid_nll"] is not None]
    finite = [nll for nll in nlls if math.isfinite(nll)] or [0.0]
    low, high = min(finite), max(finite)
    if spread := 4 * (statistics.median(finite) - low):
        high = min(high, low + spread)  # those far worse than most are shown at the upper edge
    bottom, top = padded(low, high, share=0.08, least=0.1)
    with saved_figure(path, 3.6 * columns + 0.4, 3.0 * height + 0.7, title) as figure:
        axes = figure.subplots(height, columns, squeeze=False, sharey=True).flatten()
        for place, (name, entry) in zip(axes, space.items(), strict=False):
            _plot_setting(place, trials, name, entry, top)
        _plot_progress(axes[len(space)], trials, top)
        axes[0].set_ylim(bottom, top)
        for place in axes[panels:]:
            place.set_visible(False)
        for place in axes[::columns]:
            place.set_ylabel("validation NLL per frame (nats)")
        handles, labels = axes[0].get_legend_handles_labels()
        look: dict[str, Any] = {"alignment": "left", "ncols": len(labels), "frameon": False}
        note = "upper edge: failed, or far worse than most"
        figure.legend(handles, labels, title=note, loc="outside lower left", **look)


def setting_label(value: Any) -> str:
    """Return a setting's value as a short text; a dash stands for None."""
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def _plot_setting(axes: Axes, trials: Sequence[_Trial], name: str, entry: Any, top: float) -> None:
    """Plot the NLL of every trial over its value of a setting; those above ``top`` are shown there."""
    places: dict[Any, int] = {}
    if isinstance(entry, list):
        places = {value: index for index, value in enumerate(entry)}
        axes.set_xticks(range(len(places)), [setting_label(value) for value in places], parse_math=False)
        axes.set_xlim(-0.6, len(places) - 0.4)
    elif entry["log"]:
        low, high = entry["low"], entry["high"]
        margin = max(1.05, (high / low) ** 0.05)
        axes.set_xscale("log")
        axes.set_xlim(low / margin, high * margin)

    def point(trial: _Trial) -> tuple[float, float]:
        value = trial["settings"][name]
        jitter = 0.4 * (trial["number"] * _GOLDEN % 1 - 0.5)
        nll = math.inf if trial["valid_nll"] is None or trial["state"] == "failed" else trial["valid_nll"]
        return places[value] + jitter if places else value, min(nll, top)

    shown = [trial for trial in trials if name in trial["settings"]]
    for state, style in _STYLES.items():
        of_state = shown[:1] if state == "best" else [trial for trial in shown if trial["state"] == state]
        if of_state:
            x, y = zip(*map(point, of_state), strict=True)
            axes.plot(x, y, linestyle="", label=state, clip_on=False, **style)
    style_axes(axes, name, grid="both")


def _plot_progress(axes: Axes, trials: Sequence[_Trial], top: float) -> None:
    """Plot the best NLL so far over the trials."""
    complete = [trial for trial in trials if trial["state"] == "complete" and trial["valid_nll"] is not None]
    nlls = dict(sorted((trial["number"], trial["valid_nll"]) for trial in complete))
    for number, nll in nlls.items():
        axes.plot(number, min(nll, top), clip_on=False, **_STYLES["complete"])
    best = list(itertools.accumulate(nlls.values(), min))
    axes.step(list(nlls), best, where="post", color=COLOURS[1], linewidth=1.8)
    label_integers(axes.xaxis)
    style_axes(axes, "trial, and the best so far", grid="both")
