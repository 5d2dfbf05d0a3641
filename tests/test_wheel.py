"""What is installed: a wheel that plays, prepares and finds its data with no checkout at hand."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_program_corpus_and_model_and_nothing_else(installed: Path) -> None:
    assert {path.name for path in installed.iterdir()} == {"musicrnn", "musicrnn-0.1.0.dist-info"}
    assert len(list((installed / "musicrnn/_bundled/data/chorales").glob("*.mid"))) == 384
    model = installed / "musicrnn/_bundled/models/chorales-gru"
    names = {"README.md", "config.json", "curves.png", "metrics.jsonl", "model.safetensors"}
    assert {path.name for path in model.iterdir()} == names
    assert sum(path.stat().st_size for path in model.iterdir()) < 1_000_000


def test_the_installed_program_needs_no_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    for arguments in (["sample", "-o", "out.mid"], ["prepare", "--quiet"], ["evaluate", "--split", "valid"]):
        command = [sys.executable, "-m", "musicrnn", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mid").stat().st_size > 500
    assert "models/chorales-gru (shipped with musicrnn)" in done.stderr
