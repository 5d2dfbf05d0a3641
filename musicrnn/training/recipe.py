"""The configuration of a training: one typed, validated value, saved with the run.

A setting is declared once, with its bounds and the words that describe it: the command line makes its flags
of these declarations, files are checked against them, and a sweep takes its bounds from them. No torch here,
so that ``--help`` is quick.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from musicrnn.errors import UsageError
from musicrnn.files import read_bytes

if TYPE_CHECKING:
    from musicrnn.music import Layout
    from musicrnn.nn import ModelConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEARNING_RATES = {"adam": 1e-2, "adamw": 1e-2, "rmsprop": 1e-3, "sgd": 0.1}
"""The optimizers, and the learning rate each takes unless one is given."""

DECAYS = {"adam": 0.999, "adamw": 0.999, "rmsprop": 0.95}
"""The share of the mean square that stays from step to step, unless one is given."""


def _setting(
    default: Any,
    text: str,
    *,
    usual: str = "",
    choices: Sequence[str] = (),
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> Any:
    """Declare a setting.

    Args:
        default: Its value unless one is given.
        text: What it is, with its source.
        usual: What the default amounts to, where it depends on other settings.
        choices: The values that it may have, if they are names.
        least: The least value of a number.
        above: What a number must exceed.
        most: The greatest value of a number.
        below: What a number must stay below.
    """
    bounds = {"least": least, "above": above, "most": most, "below": below}
    return field(default=default, metadata={"text": text, "usual": usual, "choices": choices, **bounds})


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained; ``SETTINGS`` describes every attribute.

    Raises:
        UsageError: A value that its setting can't have.
    """

    cell: str = _setting("gru", "Recurrent unit; see below.")
    hidden: int = _setting(128, "Hidden units of each layer.", least=1)
    layers: int = _setting(1, "Recurrent layers.", least=1)
    peepholes: bool = _setting(False, "Peephole connections (lstm; Graves 2013).")
    context: int | None = _setting(None, "Context units of each layer (scrn).", usual="a quarter", least=1)
    alpha: float = _setting(
        0.95, "Share of the context that stays from frame to frame (scrn).", above=0, below=1
    )
    learn_alpha: bool = _setting(False, "Learn alpha, unit by unit (scrn).")
    head: str = _setting("bernoulli", "Output distribution.")
    embedding: int = _setting(0, "Width of a linear embedding of the frames heard; 0 is none.", least=0)
    tied: bool = _setting(
        False,
        "One matrix for the input embedding, which is then as wide as a layer, and for the output "
        "(Press and Wolf 2017; Inan et al. 2017).",
    )
    connections: str = _setting(
        "plain",
        "plain; residual: a layer's output is added to its input, from the second layer on (He et al. 2016); "
        "skip: every layer hears the frame too, and the output hears every layer (Graves 2013).",
        choices=("plain", "residual", "skip"),
    )
    layer_norm: bool = _setting(
        False, "Layer normalisation of what later layers and the output hear (Ba et al. 2016)."
    )
    attention: int = _setting(
        0,
        "Heads of attention to earlier frames of the piece, which bring what followed them; 0 is none "
        "(Vaswani et al. 2017; Grave et al. 2017).",
        least=0,
    )
    attention_size: int = _setting(32, "Width of a head's queries and keys.", least=1)
    pitchwise: int = _setting(
        0,
        "Units of a recurrence that every pitch has for itself, hearing the octave around it, with the same "
        "weights for all pitches; 0 is none (Johnson 2017).",
        least=0,
    )
    clock: str = _setting(
        "",
        "Periods in frames, such as 4,16, of a clock that the layers hear: where in each the next frame "
        "falls, counted from the beginning of the piece.",
    )
    dropout: float = _setting(
        0.0, "Dropout on every layer's output, not on the recurrence (Zaremba et al. 2014).", least=0, below=1
    )
    variational_dropout: bool = _setting(
        False, "The same dropout mask for all frames of a sequence (Gal and Ghahramani 2016)."
    )
    weight_dropout: float = _setting(
        0.0, "Dropout on the recurrent matrices, drawn once a batch (Merity et al. 2018).", least=0, below=1
    )
    optimizer: str = _setting(
        "adam",
        "adam (Kingma and Ba 2015), adamw (Loshchilov and Hutter 2019), rmsprop (Tieleman and Hinton 2012) "
        "or sgd, with momentum.",
        choices=tuple(LEARNING_RATES),
    )
    learning_rate: float | None = _setting(
        None,
        "Step size.",
        usual=", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items()),
        above=0,
    )
    momentum: float = _setting(
        0.9, "Momentum of sgd and rmsprop; decay of adam's mean gradient.", least=0, below=1
    )
    decay: float | None = _setting(
        None,
        "Decay of the mean square of gradients.",
        usual="0.999 for adam and adamw, 0.95 for rmsprop",
        least=0,
        below=1,
    )
    weight_decay: float = _setting(
        0.0, "Pull of matrices towards zero: decoupled for adamw, else L2.", least=0
    )
    schedule: str = _setting(
        "plateau",
        "plateau (halve where validation stops improving), constant, linear or cosine (Loshchilov and Hutter "
        "2017), the last two down to --final-rate at the end of --epochs.",
        choices=("plateau", "constant", "linear", "cosine"),
    )
    final_rate: float = _setting(
        0.01, "Share of the learning rate that linear and cosine end at.", least=0, most=1
    )
    restart: int = _setting(
        0,
        "Epochs after which linear and cosine, at their end by then, begin anew (Loshchilov and Hutter "
        "2017); 0 is never.",
        least=0,
    )
    restart_rate: float = _setting(
        1.0, "Share of the learning rate that they begin anew with.", above=0, most=1
    )
    warmup: int = _setting(
        0, "Updates over which the rate rises from zero, linearly (Goyal et al. 2017).", least=0
    )
    batch_size: int = _setting(16, "Pieces in a batch, over all processes.", least=1)
    accumulate: int = _setting(1, "Batches whose gradients make one update.", least=1)
    chunk_frames: int = _setting(
        0,
        "Frames after which the gradient is cut and an update made, the state carried on: truncated "
        "back-propagation (Williams and Peng 1990); 0 is whole pieces.",
        least=0,
    )
    epochs: int = _setting(40, "Epochs at most.", least=1)
    patience: int = _setting(10, "Stop after so many epochs without improvement.", least=1)
    until: float | None = _setting(None, "Stop when the validation NLL is at most this.", usual="no such aim")
    transpose: str = _setting(
        "0:0",
        "LOW:HIGH, semitones by which pieces are transposed in training, anew in every epoch, as far as "
        "they fit into the pitch range.",
    )
    transpose_epochs: int = _setting(
        0, "Epochs that transpose; in later ones pieces stay where they are. 0 is all.", least=0
    )
    input_noise: float = _setting(
        0.02,
        "Probability that a cell heard in training is flipped; steadies samples (Vincent et al. 2008).",
        least=0,
        most=0.5,
    )
    weight_noise: float = _setting(
        0.03,
        "Standard deviation of noise on the recurrent layers' matrices, drawn once a batch (Graves 2011).",
        least=0,
    )
    adaptive_weight_noise: bool = _setting(
        False,
        "Learn the deviation of the noise, weight by weight, by minimum description length; --weight-noise "
        "is where it starts (Graves 2011).",
    )
    average: str = _setting(
        "none",
        "Weights to evaluate and keep: none is the last ones; ema, their exponential moving average; polyak, "
        "their mean (Polyak and Juditsky 1992).",
        choices=("none", "ema", "polyak"),
    )
    average_decay: float = _setting(0.99, "Share of ema's average that stays at an update.", least=0, below=1)
    average_start: int = _setting(1, "Epoch from which polyak averages.", least=1)
    clip_norm: float = _setting(1.0, "Largest norm of the gradient; 0 is any (Pascanu et al. 2013).", least=0)
    precision: str = _setting(
        "float32",
        "float32, or bfloat16 for mixed precision on a GPU (Micikevicius et al. 2018).",
        choices=("float32", "bfloat16"),
    )
    init_from: str | None = _setting(
        None, "A model whose weights, and shape where no flag says otherwise, to start from.", usual="none"
    )
    seed: int = _setting(0, "Seeds weights, order, transposition, dropout and noise.", least=0, below=2**32)

    def __post_init__(self) -> None:
        for entry in fields(self):
            _check(entry, getattr(self, entry.name))
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
        """The share of the mean square of gradients that stays from step to step."""
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

    def network(self, layout: Layout) -> ModelConfig:
        """Return the shape of the network for frames of a layout."""
        from musicrnn.nn import ModelConfig

        shape = {entry.name for entry in fields(ModelConfig)} - {"input_size", "channels"}
        channels = layout.width // layout.pitches if self.pitchwise else 1
        return ModelConfig(
            input_size=layout.width, channels=channels, **{name: getattr(self, name) for name in shape}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return asdict(self)


_SHIPPED = Path(__file__).parents[1] / "recipes"
"""The recipes that ship with the program: a folder for each name, in it a file for each corpus."""

SETTINGS: dict[str, Field[Any]] = {entry.name: entry for entry in fields(Recipe)}
"""The settings by name; ``metadata`` has their texts and bounds."""


@cache
def setting_types() -> dict[str, type]:
    """Return the type of every setting; those that may be None have the type of their other values."""
    hints = get_type_hints(Recipe)
    return {
        name: next((kind for kind in get_args(hints[name]) if kind is not NoneType), hints[name])
        for name in SETTINGS
    }


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
        wanted = setting_types()[name]
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not (isinstance(value, wanted) and (wanted is bool) == isinstance(value, bool)) and not (
            value is None and SETTINGS[name].default is None
        ):
            raise UsageError(f"{where}: expected {name} to be {wanted.__name__}, found {value!r}")
        checked[name] = value
    return checked


def _check(entry: Field[Any], value: Any) -> None:
    """Refuse a value that a setting can't have."""
    rules = entry.metadata
    if rules["choices"] and value not in rules["choices"]:
        raise UsageError(f"{entry.name} must be one of {', '.join(rules['choices'])}, got {value!r}")
    if isinstance(value, str | bool) or value is None:
        return
    if not (rules["least"] <= value <= rules["most"] and rules["above"] < value < rules["below"]):
        words = [f"{word} {rules[key]}" for key, word in _BOUNDS.items() if math.isfinite(rules[key])]
        raise UsageError(f"{entry.name} must be {' and '.join(words or ['finite'])}, got {value}")


_BOUNDS = {"least": "at least", "above": "above", "most": "at most", "below": "below"}
