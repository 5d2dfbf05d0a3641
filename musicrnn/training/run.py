"""A run on disk: what is written after every epoch, and what resuming reads.

``resume/state.safetensors`` holds the weights, the optimizer's tensors and, in its header, the metrics
of all epochs so far. It is one file, so it is whole or not there; ``model.safetensors``, the best
weights, is written before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from musicrnn.checkpoint import read_tensors, to_safetensors
from musicrnn.errors import ModelError
from musicrnn.files import write_bytes
from musicrnn.training.optimizers import Optimizer

STATE = Path("resume") / "state.safetensors"


@dataclass(frozen=True)
class Epoch:
    """The metrics of one epoch: a line of ``metrics.jsonl``.

    Attributes:
        epoch: Number of the epoch, from 1.
        train_nll: Nats per frame over the training pieces, with noise and dropout, while weights move.
        valid_nll: Nats per frame over the validation pieces.
        learning_rate: Step size.
        gradient_norm: Mean norm of the gradient before clipping.
        frames_per_second: Training frames per second.
        seconds: Time since training began, validation included.
    """

    epoch: int
    train_nll: float
    valid_nll: float
    learning_rate: float
    gradient_norm: float
    frames_per_second: float
    seconds: float


def save_state(directory: Path, model: nn.Module, optimizer: Optimizer, history: Sequence[Epoch]) -> None:
    """Write what resuming needs.

    Raises:
        FileError: The file can't be written.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state().items()}
    metadata = {"history": json.dumps([asdict(epoch) for epoch in history])}
    write_bytes(directory / STATE, to_safetensors(tensors, metadata))


def load_state(directory: Path, model: nn.Module, optimizer: Optimizer) -> list[Epoch]:
    """Put a run back to where it was after its last whole epoch.

    Returns:
        The metrics of the epochs done.

    Raises:
        ModelError: The state is damaged or another network's.
    """
    path = directory / STATE
    tensors = read_tensors(path)
    try:
        with safe_open(str(path), "pt") as file:
            history = [Epoch(**entry) for entry in json.loads(file.metadata()["history"])]
        model.load_state_dict(_below("model.", tensors))
        optimizer.load(_below("optimizer.", tensors))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: expected the state of this training, found another or damage: {reason}"
        ) from error
    return history


def write_metrics(directory: Path, history: Sequence[Epoch]) -> None:
    """Write ``metrics.jsonl``, a line per epoch.

    Raises:
        FileError: The file can't be written.
    """
    lines = "".join(json.dumps(asdict(epoch)) + "\n" for epoch in history)
    write_bytes(directory / "metrics.jsonl", lines.encode())


def _below(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
