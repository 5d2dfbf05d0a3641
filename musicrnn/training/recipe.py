"""The configuration of a training: one typed, validated value, saved with the run."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from musicrnn.errors import UsageError
from musicrnn.files import read_bytes
from musicrnn.nn import ModelConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEARNING_RATES = {"adam": 1e-2, "rmsprop": 1e-3}
"""The optimizers, and the learning rate each takes unless one is given."""

SCHEDULES = ("plateau", "constant")

_OPTIONAL = {"learning_rate": float, "context": int}
"""Types of the settings that may be left to other settings."""


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained.

    Attributes:
        cell: Recurrent unit.
        hidden: Hidden units of each layer.
        layers: Number of layers.
        peepholes: Peephole connections; lstm only (Graves 2013).
        context: Slow context units among each layer's; scrn only, None is a quarter (Mikolov et al. 2014).
        alpha: How much of the context stays from frame to frame; scrn only.
        learn_alpha: Whether alpha is learned, for each context unit its own; scrn only.
        head: Output distribution.
        optimizer: ``adam`` (Kingma and Ba 2015), or ``rmsprop`` (Tieleman and Hinton 2012) with decay 0.95
            and momentum 0.9.
        learning_rate: Step size; None takes the optimizer's entry of ``LEARNING_RATES``.
        schedule: ``plateau`` halves the rate whenever validation has not improved for a third of
            ``patience``; ``constant`` leaves it.
        batch_size: Pieces in a batch.
        epochs: Passes over the training pieces at most.
        patience: Epochs without a better validation NLL after which training stops.
        dropout: Dropout on every layer's output (Zaremba et al. 2014).
        input_noise: Probability that a cell of the frames heard is flipped, so that the network learns to
            recover from its own slips when it generates (denoising; Vincent et al. 2008).
        weight_noise: Standard deviation of the noise on the recurrent layers' matrices.
        clip_norm: Gradients of a larger norm are scaled down to it; zero leaves them alone.
        seed: Seeds the weights, the order of batches, dropout and noises.
    """

    cell: str = "gru"
    hidden: int = 128
    layers: int = 1
    peepholes: bool = False
    context: int | None = None
    alpha: float = 0.95
    learn_alpha: bool = False
    head: str = "bernoulli"
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "plateau"
    batch_size: int = 16
    epochs: int = 40
    patience: int = 10
    dropout: float = 0.0
    input_noise: float = 0.02
    weight_noise: float = 0.03
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in LEARNING_RATES:
            raise UsageError(f"optimizer must be one of {', '.join(LEARNING_RATES)}, got {self.optimizer!r}")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}")
        for name in ("hidden", "layers", "batch_size", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("weight_noise", "clip_norm", "seed"):
            if not 0 <= getattr(self, name) < 2**32:
                raise UsageError(f"{name} must be at least 0 and below 2**32, got {getattr(self, name)}")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise UsageError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")

    @property
    def initial_rate(self) -> float:
        """The learning rate at the start."""
        return LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    def network(self, width: int) -> ModelConfig:
        """Return the shape of the network for frames of ``width`` cells."""
        shape = {
            field.name: getattr(self, field.name)
            for field in fields(ModelConfig)
            if field.name != "input_size"
        }
        return ModelConfig(input_size=width, **shape)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return asdict(self)


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings of a recipe from a TOML file or from a run's ``config.json``.

    Returns:
        The settings that the file gives; the keys are those of ``Recipe``.

    Raises:
        FileError: The file can't be read.
        UsageError: It isn't TOML or JSON, or has a setting that no recipe has.
    """
    content = read_bytes(path)
    try:
        document = json.loads(content) if path.suffix == ".json" else tomllib.loads(content.decode())
    except ValueError as error:
        raise UsageError(
            f"{path}: expected {'JSON' if path.suffix == '.json' else 'TOML'}: {error}"
        ) from error
    settings = document.get("training", document) if isinstance(document, dict) else None
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: expected settings of a training, found {type(document).__name__}")
    return check_settings(settings, str(path))


def check_settings(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return settings whose names and types are a recipe's; whole numbers may stand for reals.

    Raises:
        UsageError: A setting is unknown or of another type; the message starts with ``where``.
    """
    defaults, checked = asdict(Recipe()), {}
    for name, value in settings.items():
        if name not in defaults:
            raise UsageError(f"{where}: expected settings among {', '.join(defaults)}; found {name!r}")
        wanted = _OPTIONAL.get(name) or type(defaults[name])
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not (isinstance(value, wanted) and (wanted is bool) == isinstance(value, bool)) and not (
            value is None and defaults[name] is None
        ):
            raise UsageError(f"{where}: expected {name} to be {wanted.__name__}, found {value!r}")
        checked[name] = value
    return checked
