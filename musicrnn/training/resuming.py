"""Folders of runs: which one a training may write to, and the settings that a resumed run continues with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musicrnn.checkpoint import read_config
from musicrnn.corpus import Corpus, corpus_identity
from musicrnn.errors import ModelError, UsageError
from musicrnn.training.recipe import SETTINGS, Recipe, read_settings
from musicrnn.training.run import STATE
from musicrnn.training.schedules import FALLING

EXTENDABLE = ("epochs", "patience", "until")
"""Settings that a resumed run may change; under a schedule that ends with the last epoch, not ``epochs``."""


def new_run(folder: Path, name: str) -> Path:
    """Return ``folder/name`` for a new run, numbered from 2 if it is taken."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path


def newest_run(folder: Path, name: str) -> Path:
    """Return the run called ``name``, numbered or not, that was trained last, or ``folder/name``."""
    runs = [run for run in finished_runs(folder) if re.fullmatch(rf"{re.escape(name)}(-\d+)?", run.name)]
    return runs[-1] if runs else folder / name


def finished_runs(folder: Path) -> list[Path]:
    """Return the runs in a folder that have weights, oldest first."""
    weights = [path for path in folder.glob("*/model.safetensors") if (path.parent / "config.json").exists()]
    return [path.parent for path in sorted(weights, key=lambda path: path.stat().st_mtime)]


def network_settings(model: Path) -> dict[str, Any]:
    """Return the settings of a model's network.

    Raises:
        ModelError: The folder holds no model, or a damaged one.
    """
    network = read_config(model).get("network", {})
    return {name: value for name, value in network.items() if name in SETTINGS}


def checked_recipe(
    directory: Path,
    corpus: Corpus,
    recipe: Recipe,
    given: Mapping[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Recipe:
    """Check that a training may write to a folder, and return the recipe to train with.

    Args:
        directory: The folder; nothing in it is changed.
        corpus: The corpus to train on.
        recipe: The recipe of a new run.
        given: The settings that were asked for, by name.
        resume: The run in the folder may be resumed.
        overwrite: The run in the folder may be replaced.

    Returns:
        The recipe of the run that is resumed, with the number of epochs asked for, or else ``recipe``.

    Raises:
        ModelError: The folder holds a run that may not be replaced or can't be resumed, or other files.
        UsageError: The run to resume has another corpus or other settings.
    """
    # Temporary files of a killed process have hidden names.
    if not directory.is_dir() or all(path.name.startswith(".") for path in directory.iterdir()):
        return recipe
    if not (directory / "config.json").exists():
        raise ModelError(f"{directory}: expected a run or an empty folder to write to, found other files")
    if overwrite:
        return recipe
    if not resume:
        raise ModelError(f"{directory}: found a run, expected a new folder, --resume or --overwrite")
    metrics = directory / "metrics.jsonl"  # empty until the first state is saved
    if not (directory / STATE).exists() and metrics.exists() and metrics.stat().st_size:
        raise ModelError(f"{directory / STATE}: expected the state to resume from, found nothing")
    then, now = corpus_identity(read_config(directory).get("data", {})), corpus.identity()
    if then != now:
        raise UsageError(f"{directory}: can't resume with {corpus.directory}: expected {then}, found {now}")
    own = Recipe.of(**read_settings(directory / "config.json"))
    values = own.to_dict()
    for name, value in given.items():
        was = values[name]
        fixed = name not in EXTENDABLE or (name == "epochs" and own.schedule in FALLING)
        if fixed and was != value:
            raise UsageError(f"{directory}: can't resume with {name} {value}: the run was started with {was}")
    return own.replaced(**{name: given[name] for name in EXTENDABLE if name in given})
