"""A model directory: ``config.json``, ``model.safetensors``, ``metrics.jsonl``.

``config.json`` describes the network and its corpus; ``metrics.jsonl`` has a line for each epoch. No pickles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from musicrnn.bundled import resolve
from musicrnn.errors import FileError, ModelError, MusicRNNError
from musicrnn.files import read_bytes, read_document, write_bytes, write_json
from musicrnn.nn import MusicRNN, NetworkSettings
from musicrnn.settings import assemble, flatten

FORMAT, VERSION = "musicrnn-model", 2


@dataclass(frozen=True)
class Epoch:
    """The metrics of one epoch: a line of ``metrics.jsonl``.

    Attributes:
        epoch: Number of the epoch, from 1.
        train_nll: Nats per frame over the training pieces, with noise and dropout, while the weights change.
        valid_nll: Nats per frame over the validation pieces.
        learning_rate: Step size at the end of the epoch.
        gradient_norm: Mean norm of the gradient before clipping.
        frames_per_second: Training frames per second.
        seconds: Time since training began, validation included.
        padding: Share of the computed frames that were padding.
        skipped: Updates left out because their loss wasn't finite.
    """

    epoch: int
    train_nll: float
    valid_nll: float
    learning_rate: float
    gradient_norm: float
    frames_per_second: float
    seconds: float
    padding: float = 0.0
    skipped: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Epoch:
        """Return the metrics in a JSON object, whose other keys are ignored.

        Raises:
            KeyError: A value is missing.
            TypeError: A value, or ``values`` itself, has another type.
            ValueError: A value isn't a number.
        """
        known = [each for each in fields(cls) if each.default is MISSING or each.name in values]
        kinds = {"int": int, "float": float}
        return cls(**{each.name: kinds[str(each.type)](values[each.name]) for each in known})


def save_config(directory: Path, model: MusicRNN, training: Mapping[str, Any]) -> None:
    """Write ``config.json``: the network, what its frames mean, and the recipe as JSON values.

    Raises:
        FileError: The file can't be written.
    """
    network = {"input_size": model.input_size, "channels": model.channels, **flatten(model.settings)}
    about = {"network": network, "data": model.data, "training": dict(training)}
    write_json(directory / "config.json", {"format": FORMAT, "version": VERSION, **about})


def save_weights(directory: Path, weights: Mapping[str, Tensor]) -> None:
    """Write ``model.safetensors``, whole or not at all, or raise FileError."""
    write_bytes(directory / "model.safetensors", to_safetensors(weights))


def to_safetensors(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Return the content of a safetensors file; tensors may be views of one another."""
    layout = torch.contiguous_format
    content = {name: tensor.detach().cpu().clone(memory_format=layout) for name, tensor in tensors.items()}
    return save(content, metadata)


def read_config(directory: Path) -> dict[str, Any]:
    """Return the content of ``config.json``.

    Raises:
        ModelError: The folder holds no model, or one of another version, or a damaged one.
    """
    path = directory / "config.json"
    if not path.is_file():
        found = "a corpus" if (directory / "corpus.json").exists() else "a folder without config.json"
        found = found if directory.is_dir() else "a file" if directory.exists() else "nothing"
        expected = "expected a model (a folder that `musicrnn train` wrote)"
        raise ModelError(f"{directory}: {expected}, found {found}")
    return read_document(path, FORMAT, VERSION, ModelError)


def load_model(directory: Path | str) -> MusicRNN:
    """Load a model on the CPU, in evaluation mode.

    Args:
        directory: Its folder; the name of a shipped model, such as ``models/chorales-gru``, works anywhere.

    Raises:
        ModelError: The folder holds no model, or one of another version, or a damaged one.
    """
    directory = resolve(Path(directory))
    model = build_model(directory)
    model.load_state_dict(load_weights(directory, model.state_dict()))
    return model.eval()


def build_model(directory: Path) -> MusicRNN:
    """Return the network that ``config.json`` describes, with fresh weights; it raises as ``read_config``."""
    document = read_config(directory)
    try:
        network, data = dict(document["network"]), dict(document["data"])
        width, channels = network.pop("input_size"), network.pop("channels", 1)
        if "width" in data:
            return new_model(assemble(NetworkSettings, network), data)
        return MusicRNN(assemble(NetworkSettings, network), width, channels, data)
    except (KeyError, TypeError, ValueError, MusicRNNError) as error:
        expected = "expected the description of a network"
        raise ModelError(f"{directory / 'config.json'}: {expected}, found damage: {error}") from error


def new_model(settings: NetworkSettings, data: Mapping[str, Any]) -> MusicRNN:
    """Return a network with fresh weights for the frames that ``data``, from ``Corpus.facts``, describes.

    Raises:
        UsageError: An unknown cell or head, or a size out of its range.
    """
    return MusicRNN(settings, data["width"], len(data["channels"].split("+")), data)


def load_weights(directory: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read ``model.safetensors`` and check that it has exactly the expected tensors.

    Raises:
        ModelError: It is missing or damaged, or fits another network.
    """
    path = directory / "model.safetensors"
    weights = read_tensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name, tensor in expected.items():
        if shapes.pop(name, None) != tuple(tensor.shape):
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise ModelError(f"{path}: expected {name} of shape {tuple(tensor.shape)}, found {found}")
    if shapes:
        raise ModelError(f"{path}: expected no tensor {next(iter(shapes))}, found one")
    return weights


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file, or raise ModelError: it is missing or damaged."""
    try:
        return load(read_bytes(path))
    except FileError as error:
        raise ModelError(str(error)) from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: expected tensors (safetensors), found damage: {error}") from error


def read_metrics(directory: Path) -> list[Epoch]:
    """Return the metrics of every finished epoch; none where no epoch has been saved.

    Raises:
        FileError: ``metrics.jsonl`` is damaged or can't be read.
    """
    path = directory / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        return [Epoch.from_dict(json.loads(line)) for line in read_bytes(path).splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise FileError(f"{path}: expected a line of JSON per epoch, found damage: {error!r}") from error


def write_metrics(directory: Path, history: Sequence[Epoch]) -> None:
    """Write ``metrics.jsonl``, whole or not at all, or raise FileError."""
    lines = "".join(json.dumps(asdict(epoch)) + "\n" for epoch in history)
    write_bytes(directory / "metrics.jsonl", lines.encode())
