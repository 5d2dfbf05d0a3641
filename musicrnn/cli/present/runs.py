"""Models for ``show``: the figures of a run, and a table or a picture of several runs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicrnn.cli import console
from musicrnn.cli.present.text import TABLE_WIDTH, Column, figures, setting, table
from musicrnn.errors import ModelError

if TYPE_CHECKING:
    from musicrnn.checkpoint import Epoch


@dataclass(frozen=True)
class Run:
    """A model's folder, with facts about its corpus, its recipe as given, and its epochs so far, if any."""

    path: Path
    parameters: int
    data: dict[str, Any]
    settings: dict[str, Any]
    history: list[Epoch]

    @property
    def best(self) -> Epoch | None:
        """The epoch with the lowest validation NLL, if one has ended with a finite one."""
        finite = [epoch for epoch in self.history if math.isfinite(epoch.valid_nll)]
        return min(finite, key=lambda epoch: epoch.valid_nll, default=None)

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings, with the learning rate that the optimizer takes where none is given."""
        from musicrnn.training.recipe import LEARNING_RATES

        rate = self.settings.get("learning_rate") or LEARNING_RATES.get(self.settings.get("optimizer", ""))
        return {**self.settings, "learning_rate": rate}

    @property
    def frames_per_second(self) -> float | None:
        """Training frames per second of training, over all epochs."""
        speeds = [epoch.frames_per_second for epoch in self.history]
        return len(speeds) / sum(1 / speed for speed in speeds) if speeds and all(speeds) else None

    def document(self) -> dict[str, Any]:
        """Return settings and figures as JSON values."""
        best = self.best
        return {
            "kind": "model",
            "file": str(self.path),
            "parameters": self.parameters,
            **{key: value for key, value in self.settings.items() if value is not None},
            "corpus": self.data.get("name"),
            "epochs": len(self.history),
            "best_epoch": best.epoch if best else None,
            **{name: getattr(best, name, None) for name in ("train_nll", "valid_nll")},
            "seconds": self.history[-1].seconds if self.history else None,
            "frames_per_second": self.frames_per_second,
        }


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a model."""
    return (path / "config.json").exists() and not (path / "corpus.json").exists()


def read_run(path: Path) -> Run:
    """Read a model's settings and metrics.

    Raises:
        ModelError: It is damaged or of another version.
        FileError: Its metrics are damaged.
    """
    from musicrnn.checkpoint import build_model, load_model, read_config, read_metrics

    model = load_model(path) if (path / "model.safetensors").exists() else build_model(path)
    settings = read_config(path).get("training", {})
    return Run(path, model.parameter_count, model.data, settings, read_metrics(path))


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Return for each path as few of its last parts as make it unique; equal paths are numbered."""
    whole = [(path.resolve() if path.name in ("", "..") else path.absolute()).parts for path in paths]
    names = []
    for index, parts in enumerate(whole):
        length = 1
        while any(other[-length:] == parts[-length:] for other in whole if other != parts):
            length += 1
        name, earlier = "/".join(parts[-length:]), whole[:index].count(parts)
        names.append(f"{name} ({earlier + 1})" if earlier else name)
    return names


def compare(runs: Sequence[Run]) -> str:
    """Return a table with a row for each run: its figures, and the settings in which the runs differ."""
    documents = [run.document() for run in runs]
    recipes, mixed = [run.recipe for run in runs], _corpora(runs)
    columns = [
        Column("run", unique_names([run.path for run in runs]), "<"),
        Column("cell", [setting(recipe.get("cell")) for recipe in recipes], "<"),
        Column("hidden", [setting(recipe.get("hidden")) for recipe in recipes]),
        *(figures(title, [run[key] for run in documents], form) for title, key, form in _FIGURES),
    ]
    nlls = [run["valid_nll"] for run in documents]
    lowest = min((nll for nll in nlls if nll is not None), default=None)
    if mixed:
        columns.append(Column("corpus", [setting(run.data.get("name")) for run in runs], "<"))
    elif lowest is not None:
        marks = ["*" if nll == lowest else " " for nll in nlls]
        cells = [f"{cell} {mark}" for cell, mark in zip(columns[7].cells, marks, strict=True)]
        columns[7] = Column("valid  \nNLL  ", cells)
    for name in dict.fromkeys(name for recipe in recipes for name in recipe):
        values = [recipe.get(name) for recipe in recipes]
        if name not in ("cell", "hidden") and any(value != values[0] for value in values):
            title = "epochs\nat most" if name == "epochs" else name.replace("_", "\n")
            columns.append(Column(title, list(map(setting, values))))
    caption = "NLL: nats per frame in the best epoch; train with noise and dropout, while weights move."
    lines = [caption if mixed else f"{caption} *: lowest."]
    lines += [f"Different corpora, whose NLLs don't compare: {mixed}."] if mixed else []
    return "\n".join([table(columns), "", *(textwrap.fill(line, TABLE_WIDTH) for line in lines)])


_FIGURES = (
    ("parameters", "parameters", ",.0f"),
    ("epochs", "epochs", ",.0f"),
    ("best\nepoch", "best_epoch", ",.0f"),
    ("train\nNLL", "train_nll", ".3f"),
    ("valid\nNLL", "valid_nll", ".3f"),
    ("seconds", "seconds", ",.1f"),
    ("frames/s", "frames_per_second", ",.0f"),
)
"""Title, name in a run's document and format of the figures that are compared."""


def plot(runs: Sequence[Run], output: Path) -> None:
    """Plot the learning curves of one run, or of several in one picture.

    Raises:
        ModelError: None of the runs has ended an epoch.
        FileError: The picture can't be written.
    """
    from musicrnn.plots.curves import Curves, plot_curves, plot_runs

    curves = []
    for name, run in zip(unique_names([run.path for run in runs]), runs, strict=True):
        if run.best:
            nlls = [(epoch.train_nll, epoch.valid_nll) for epoch in run.history]
            curves.append(Curves(name, *zip(*nlls, strict=True)))
        else:
            console.note(f"{run.path}: no epoch to plot yet")
    if not curves:
        raise ModelError(f"{runs[0].path}: expected at least one epoch to plot, found none")
    if len(runs) == 1:
        (only,) = curves
        plot_curves({"train": only.train, "validation": only.valid}, output, title=only.name)
    else:
        plot_runs(curves, output, title="Different corpora: the NLLs don't compare" if _corpora(runs) else "")


def _corpora(runs: Sequence[Run]) -> str:
    """Return the names of the runs' corpora, with their layouts, or nothing if all have the same one."""
    from musicrnn.corpus import corpus_identity
    from musicrnn.errors import RollError
    from musicrnn.music import Layout

    identities = [corpus_identity(run.data) for run in runs]
    if all(identity == identities[0] for identity in identities):
        return ""
    names = []
    for run in runs:
        try:
            names.append(f"{run.data.get('name')}, {Layout.from_dict(run.data)}")
        except (KeyError, TypeError, ValueError, RollError) as error:
            raise ModelError(
                f"{run.path / 'config.json'}: expected the layout of frames, found damage: {error}"
            ) from error
    return "; ".join(dict.fromkeys(names))
