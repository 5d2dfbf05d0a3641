"""Options that several commands share, and the defaults that make every command run without arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag
from musicrnn.errors import ModelError, UsageError

_Number = TypeVar("_Number", int, float)

CORPUS = Path("data/prepared/chorales")
RUNS = Path("models/runs")
SHIPPED_MODEL = Path("models/chorales-gru")

_MODEL = "A model's folder. [default: the newest run under models/runs, else the shipped model]"
Model = Annotated[Path | None, argument("MODEL", _MODEL)]


def device_flag() -> Any:
    """Declare ``--device``."""
    return flag("auto", "auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:1 …")


def chosen_model(model: Path | None) -> Path:
    """Return the model to use: the one given, the newest run, or the shipped one; a message says which.

    Raises:
        ModelError: There is neither.
    """
    from musicrnn.bundled import resolve
    from musicrnn.training.run import finished_runs

    if model is not None:
        return resolve(model)
    runs = finished_runs(RUNS)
    chosen = runs[-1] if runs else resolve(SHIPPED_MODEL)
    if not (chosen / "config.json").exists():
        raise ModelError(f"{RUNS}: expected a trained model, found none; `musicrnn train` makes one")
    console.note(f"model: {chosen if runs else SHIPPED_MODEL}{'' if runs else ' (shipped with musicrnn)'}")
    return chosen


def chosen_corpus(path: Path) -> Path:
    """Return the folder of a corpus, which may be given by the name of a published data set.

    Raises:
        CorpusError: The data set isn't prepared yet, and can't be fetched.
    """
    if path.exists() or len(path.parts) > 1:
        return path
    from musicrnn.corpus.build import published_corpus
    from musicrnn.corpus.registry import DATASETS

    return published_corpus(path.name, console.note) if path.name in DATASETS else path


def chosen_device(name: str) -> str:
    """Return the torch device for ``--device``; Apple's MPS runs these networks slower than the CPU.

    Raises:
        UsageError: There is no such device here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: expected a device of this machine: {reason}") from error
    return name


def music_source(path: Path) -> tuple[Path | bytes, str]:
    """Return where to read a piece of music from, the bytes of stdin for ``-``, and its name in messages."""
    return (sys.stdin.buffer.read(), "stdin") if str(path) == "-" else (path, str(path))


def parse_range(name: str, text: str, kind: type[_Number], example: str) -> tuple[_Number, _Number]:
    """Read ``LOW:HIGH``.

    Raises:
        UsageError: It isn't two numbers of a kind with a colon between.
    """
    low, _, high = text.partition(":")
    try:
        return kind(low), kind(high)
    except ValueError as error:
        raise UsageError(f"{name}: expected LOW:HIGH, such as {example}, found {text!r}") from error


def parse_programs(text: str) -> tuple[int, ...]:
    """Read numbers and ranges of General MIDI programs, ``0-7,40``.

    Raises:
        UsageError: They aren't numbers from 0 to 127.
    """
    programs: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= 127):
            raise UsageError(f"--programs: expected programs 0 to 127, such as 0-7,40, found {text!r}")
        programs |= set(range(int(first), int(last) + 1))
    return tuple(sorted(programs))
