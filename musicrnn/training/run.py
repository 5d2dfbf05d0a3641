"""A run on disk: what is written during a training, and what resuming reads.

``resume/state.safetensors`` holds the weights, the state of optimizer, noise and average and, in its header,
the metrics of all epochs so far and the position in the current one. It is a single file, so it is complete
or missing; ``model.safetensors``, the best weights, is written before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from musicrnn.checkpoint import Epoch, read_config, read_tensors, to_safetensors, write_metrics
from musicrnn.corpus import Corpus, corpus_identity
from musicrnn.errors import ModelError, UsageError
from musicrnn.files import write_bytes
from musicrnn.nn import MusicRNN
from musicrnn.training.recipe import SETTINGS, Recipe, read_settings
from musicrnn.training.schedules import FALLING

STATE = Path("resume") / "state.safetensors"

EXTENDABLE = ("epochs", "patience", "until")
"""Settings that a resumed run may change; under a schedule that ends with the last epoch, not ``epochs``."""


@dataclass
class Position:
    """The progress of a training.

    Attributes:
        history: Metrics of the completed epochs.
        batch: Completed batches of the current epoch.
        updates: Updates of the whole training.
        nats: Sum over the frames of the current epoch.
        frames: Real frames of it.
        computed: Frames of it, padding included.
        norms: Sum of the gradient's norms over its updates.
        steps: Its updates.
        skipped: Its skipped updates.
        rate_share: Share of the learning rate that is left after skipped updates.
        seconds: Time since training began, up to the last save.
        epoch_seconds: Time spent on batches of the current epoch, up to the last save.
    """

    history: list[Epoch] = field(default_factory=list)
    batch: int = 0
    updates: int = 0
    nats: float = 0.0
    frames: int = 0
    computed: int = 0
    norms: float = 0.0
    steps: int = 0
    skipped: int = 0
    rate_share: float = 1.0
    seconds: float = 0.0
    epoch_seconds: float = 0.0

    @property
    def nlls(self) -> list[float]:
        """Validation NLL of every completed epoch."""
        return [epoch.valid_nll for epoch in self.history]

    def next_epoch(self, metrics: Epoch) -> None:
        """Record a finished epoch and begin the next."""
        self.history.append(metrics)
        self.batch = self.frames = self.computed = self.steps = self.skipped = 0
        self.nats = self.norms = self.epoch_seconds = 0.0


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        model: The network with its best weights, in evaluation mode, on the CPU.
        directory: The run's folder.
        history: The metrics of every epoch.
        best_epoch: Number of the epoch whose weights were kept, from 1.
        nlls: Nats per frame of the best weights on each split, without noise and dropout.
        seconds: Time of this call, without the compilation of kernels.
    """

    model: MusicRNN
    directory: Path
    history: list[Epoch]
    best_epoch: int
    nlls: dict[str, float]
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Training frames per second of all epochs together; those without a finite update are left out."""
        speeds = [epoch.frames_per_second for epoch in self.history if epoch.frames_per_second]
        return len(speeds) / sum(1 / speed for speed in speeds) if speeds else 0.0

    @property
    def padding(self) -> float:
        """Share of the computed frames that were padding."""
        return sum(epoch.padding for epoch in self.history) / len(self.history)


def save_state(directory: Path, tensors: Mapping[str, Tensor], position: Position) -> None:
    """Write what resuming needs, and ``metrics.jsonl``, or raise FileError."""
    write_bytes(directory / STATE, to_safetensors(tensors, {"position": json.dumps(asdict(position))}))
    write_metrics(directory, position.history)


def load_state(directory: Path) -> tuple[dict[str, Tensor], Position]:
    """Read what ``save_state`` wrote, or raise ModelError: it is damaged."""
    path = directory / STATE
    tensors = read_tensors(path)
    try:
        with safe_open(str(path), "pt") as file:
            found: dict[str, Any] = json.loads(file.metadata()["position"])
        history = [Epoch.from_dict(entry) for entry in found.pop("history")]
        return tensors, Position(history, **found)
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise state_mismatch(directory, error) from error


def state_mismatch(directory: Path, error: Exception) -> ModelError:
    """Return the error for a state that is damaged or belongs to another training."""
    reason = str(error).splitlines()[0]
    return ModelError(
        f"{directory / STATE}: expected the state of this training, found another or a damaged one: {reason}"
    )


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
    """Return the settings of a model's network, or raise ModelError: there is none, or a damaged one."""
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
