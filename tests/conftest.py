"""Fixtures that several tests share: a tiny corpus, a tiny trained model, and ways to run the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # parallel tests: one thread each and for their children
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from musicrnn.corpus import Corpus, Preparation, build_corpus, collect
from musicrnn.music import Layout, PianoRoll, to_score, write_midi

torch.set_num_threads(1)  # the tests' networks are tiny: a second thread costs more than it saves

LAYOUT = Layout(resolution=4, low=60, high=71)
PREPARATION = Preparation(LAYOUT)


def make_midi(folder: Path, count: int, layout: Layout = LAYOUT, seed: int = 0) -> Path:
    """Write ``count`` small pieces: walks through a scale over a held bass."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        frames = np.zeros((16 + 4 * int(rng.integers(5)), layout.width), np.uint8)
        pitch = int(rng.integers(4, 9))
        for start in range(0, len(frames), 4):
            pitch = int(np.clip(pitch + rng.integers(-2, 3), 3, layout.pitches - 1))
            frames[start : start + 4, pitch] = 1
            frames[start, layout.pitches + pitch] = 1
            frames[start : start + 4, 0] = 1
        write_midi(
            to_score(PianoRoll(frames, layout), tempo=90, metre=(3, 4)), folder / f"piece-{index:02d}.mid"
        )
    return folder


@pytest.fixture(scope="session")
def midi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_midi(tmp_path_factory.mktemp("midi"), 12)


@pytest.fixture(scope="session")
def corpus(midi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    directory = tmp_path_factory.mktemp("corpora") / "tiny"
    return build_corpus(collect([str(midi_folder)]), PREPARATION, directory, shares=(0.2, 0.2)).corpus


@pytest.fixture(scope="session")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from musicrnn.training import Recipe
    from musicrnn.training.loop import train

    directory = tmp_path_factory.mktemp("models") / "tiny"
    train(corpus, Recipe.of(hidden=8, epochs=3, batch_size=4), directory)
    return directory


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Run the command line inside this process."""
    from musicrnn.cli.app import app

    def run(*arguments: object, input: bytes | str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return run


def ran(result: Result) -> str:
    """Return what a command that must succeed printed."""
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.fixture
def musicrnn(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run the command line as a real process in an empty folder."""

    def run(
        *arguments: object, input: bytes | None = None, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "musicrnn", *map(str, arguments)]
        root = str(Path(__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": root + os.pathsep + os.environ.get("PYTHONPATH", "")}
        return subprocess.run(
            command, input=input, cwd=cwd, capture_output=True, env=environment, timeout=300
        )

    return run
