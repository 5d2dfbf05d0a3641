"""The configuration of a training: one typed, validated value, saved with the run.

A setting is declared once, with its group, its bounds and its text; those of the network are in
``nn.settings``. The command line makes its flags of these declarations, files are checked against them, and a
sweep takes its bounds from them. No torch here, so that ``--help`` is quick.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musicrnn.errors import UsageError
from musicrnn.files import read_bytes
from musicrnn.nn.settings import NetworkSettings
from musicrnn.settings import assemble, check, declarations, flatten, setting

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEARNING_RATES = {"adam": 1e-2, "adamw": 1e-2, "rmsprop": 1e-3, "sgd": 0.1}
"""The optimizers, and the learning rate each takes unless one is given."""

DECAYS = {"adam": 0.999, "adamw": 0.999, "rmsprop": 0.95}
"""The share of the mean square that is kept from step to step, unless one is given."""

_REGULARISATION, _OPTIMISER, _SCHEDULE, _DATA, _RUN = "regularisation", "optimiser", "schedule", "data", "run"


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained.

    Attributes:
        network: The network, but for the width of its frames.
        input_noise: Probability that an input cell is flipped in training; makes sampling more robust
            (Vincent et al. 2008).
        weight_noise: Standard deviation of noise on recurrent layers' matrices, sampled once per batch
            (Graves 2011).
        adaptive_weight_noise: Learn the standard deviation of the noise of each weight, by minimum
            description length; --weight-noise is the initial value (Graves 2011).
        optimizer: adam (Kingma and Ba 2015), adamw (Loshchilov and Hutter 2019), rmsprop (Tieleman and Hinton
            2012) or sgd, with momentum.
        learning_rate: Step size.
        momentum: Momentum of sgd and rmsprop; decay of adam's mean gradient.
        decay: Decay of the mean square of gradients.
        weight_decay: Weight decay of matrices: decoupled for adamw, else L2.
        clip_norm: Maximum norm of the gradient; 0 is no limit (Pascanu et al. 2013).
        accumulate: Batches whose gradients make one update.
        average: Weights to evaluate and keep: none is the last ones; ema, their exponential moving average;
            polyak, their mean (Polyak and Juditsky 1992).
        average_decay: Share of ema's average that is kept at an update.
        average_start: Epoch from which polyak averages.
        precision: float32, or bfloat16 for mixed precision on a GPU (Micikevicius et al. 2018).
        schedule: plateau (halve where validation stops improving), constant, linear or cosine (Loshchilov and
            Hutter 2017), the last two down to --final-rate at the end of --epochs.
        final_rate: Share of the learning rate that linear and cosine end at.
        restart: Epochs after which linear and cosine reach their end and restart (Loshchilov and Hutter
            2017); 0 is never.
        restart_rate: Share of the learning rate that they restart with.
        warmup: Updates over which the rate rises from zero, linearly (Goyal et al. 2017).
        batch_size: Pieces in a batch, over all processes.
        chunk_frames: Frames after which the gradient is cut and an update made, while the state is kept:
            truncated back-propagation (Williams and Peng 1990); 0 is whole pieces.
        transpose: LOW:HIGH, semitones by which pieces are transposed in training, sampled in every
            epoch, within the limits of the pitch range.
        transpose_epochs: Epochs with transposition; after them it is switched off. 0 is all.
        epochs: Maximum number of epochs.
        patience: Stop after this many epochs without improvement.
        until: Stop when the validation NLL is at most this.
        init_from: A model whose weights, and shape where no flag says otherwise, to start from.
        seed: Seeds weights, order, transposition, dropout and noise.

    Raises:
        UsageError: A value that its setting can't have.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    input_noise: float = setting(_REGULARISATION, 0.02, "[0, 0.5]")
    weight_noise: float = setting(_REGULARISATION, 0.03, "[0, inf)")
    adaptive_weight_noise: bool = setting(_REGULARISATION, False)
    optimizer: str = setting(_OPTIMISER, "adam", choices=tuple(LEARNING_RATES))
    learning_rate: float | None = setting(
        _OPTIMISER,
        None,
        "(0, inf)",
        usual=", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items()),
    )
    momentum: float = setting(_OPTIMISER, 0.9, "[0, 1)")
    decay: float | None = setting(
        _OPTIMISER, None, "[0, 1)", usual="0.999 for adam and adamw, 0.95 for rmsprop"
    )
    weight_decay: float = setting(_OPTIMISER, 0.0, "[0, inf)")
    clip_norm: float = setting(_OPTIMISER, 1.0, "[0, inf)")
    accumulate: int = setting(_OPTIMISER, 1, "[1, inf)")
    average: str = setting(_OPTIMISER, "none", choices=("none", "ema", "polyak"))
    average_decay: float = setting(_OPTIMISER, 0.99, "[0, 1)")
    average_start: int = setting(_OPTIMISER, 1, "[1, inf)")
    precision: str = setting(_OPTIMISER, "float32", choices=("float32", "bfloat16"))
    schedule: str = setting(_SCHEDULE, "plateau", choices=("plateau", "constant", "linear", "cosine"))
    final_rate: float = setting(_SCHEDULE, 0.01, "[0, 1]")
    restart: int = setting(_SCHEDULE, 0, "[0, inf)")
    restart_rate: float = setting(_SCHEDULE, 1.0, "(0, 1]")
    warmup: int = setting(_SCHEDULE, 0, "[0, inf)")
    batch_size: int = setting(_DATA, 16, "[1, inf)")
    chunk_frames: int = setting(_DATA, 0, "[0, inf)")
    transpose: str = setting(_DATA, "0:0")
    transpose_epochs: int = setting(_DATA, 0, "[0, inf)")
    epochs: int = setting(_RUN, 40, "[1, inf)")
    patience: int = setting(_RUN, 10, "[1, inf)")
    until: float | None = setting(_RUN, None, usual="off")
    init_from: str | None = setting(_RUN, None, usual="none")
    seed: int = setting(_RUN, 0, "[0, 4294967296)")

    def __post_init__(self) -> None:
        check(self)
        low, high = self.semitones
        if not -127 <= low <= high <= 127:
            raise UsageError(f"transpose must be LOW:HIGH with LOW at most HIGH, got {self.transpose}")
        if self.adaptive_weight_noise and self.weight_noise == 0:
            raise UsageError("adaptive_weight_noise must start with weight_noise above 0, got 0")

    @property
    def initial_rate(self) -> float:
        """The learning rate before schedule and warm-up."""
        return LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def square_decay(self) -> float:
        """The share of the mean square of gradients that is kept from step to step."""
        return DECAYS.get(self.optimizer, 0.0) if self.decay is None else self.decay

    @property
    def semitones(self) -> tuple[int, int]:
        """The lowest and the highest transposition."""
        found = re.fullmatch(r"([+-]?\d{1,3}):([+-]?\d{1,3})", self.transpose)
        if not found:
            raise UsageError(f"transpose must be LOW:HIGH, such as -5:6, got {self.transpose!r}")
        return int(found[1]), int(found[2])

    def semitones_in(self, epoch: int) -> tuple[int, int]:
        """Return the lowest and the highest transposition in an epoch, counted from 0."""
        return (0, 0) if 0 < self.transpose_epochs <= epoch else self.semitones

    @classmethod
    def of(cls, **settings: Any) -> Recipe:
        """Return the recipe that has these settings, by name, and the defaults of all others."""
        return assemble(cls, settings)

    def replaced(self, **settings: Any) -> Recipe:
        """Return the recipe with some settings replaced, by name."""
        return assemble(Recipe, {**self.to_dict(), **settings})

    def to_dict(self) -> dict[str, Any]:
        """Return all settings by name, as JSON values."""
        return flatten(self)


_SHIPPED = Path(__file__).parents[1] / "recipes"
"""The recipes that ship with the program: a folder for each name, in it a file for each corpus."""

SETTINGS = declarations(Recipe)
"""The settings by name."""


def read_settings(path: Path) -> dict[str, Any]:
    """Read settings of a recipe from a TOML file or from a run's ``config.json``.

    Returns:
        The settings that the file gives; the keys are those of ``Recipe``.

    Raises:
        FileError: The file can't be read.
        UsageError: It isn't TOML or JSON, or has a setting that no recipe has.
    """
    document = read_table(path)
    settings = document.get("training", document)
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: expected settings of a training, found {type(settings).__name__}")
    return check_settings(settings, str(path))


def read_corpus(path: Path) -> Path | None:
    """Return the corpus of the run whose ``config.json`` this is; None for a file of settings alone.

    Raises:
        FileError: The file can't be read.
        UsageError: It is neither TOML nor JSON.
    """
    data = read_table(path).get("data")
    directory = data.get("directory") if isinstance(data, dict) else None
    return Path(directory) if isinstance(directory, str) else None


def read_shipped(name: str, corpus: str) -> dict[str, Any]:
    """Return the settings of a recipe that ships with the program.

    Args:
        name: Its name, such as ``best``.
        corpus: The name of the corpus that it is for.

    Raises:
        UsageError: There is none of that name, or none for that corpus.
    """
    found = {path.parent.name: path for path in sorted(_SHIPPED.glob(f"*/{corpus}.toml"))}
    if name not in found:
        names = ", ".join(f"{path.parent.name} for {path.stem}" for path in sorted(_SHIPPED.glob("*/*.toml")))
        raise UsageError(f"--recipe {name}: expected {names}; found no such recipe for {corpus}")
    return read_settings(found[name])


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file, or by its suffix a JSON object.

    Raises:
        FileError: The file can't be read.
        UsageError: It is neither.
    """
    content, kind = read_bytes(path), "JSON" if path.suffix == ".json" else "TOML"
    try:
        document = json.loads(content) if kind == "JSON" else tomllib.loads(content.decode())
    except ValueError as error:
        raise UsageError(f"{path}: expected {kind}: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected settings by name, found {type(document).__name__}")
    return document


def check_settings(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return settings whose names and types are a recipe's; whole numbers may stand for reals.

    Raises:
        UsageError: A setting is unknown or of another type; the message starts with ``where``.
    """
    checked = {}
    for name, value in settings.items():
        if name not in SETTINGS:
            raise UsageError(f"{where}: expected settings among {', '.join(SETTINGS)}; found {name!r}")
        wanted = SETTINGS[name].type
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not (isinstance(value, wanted) and (wanted is bool) == isinstance(value, bool)) and not (
            value is None and SETTINGS[name].default is None
        ):
            raise UsageError(f"{where}: expected {name} to be {wanted.__name__}, found {value!r}")
        checked[name] = value
    return checked
