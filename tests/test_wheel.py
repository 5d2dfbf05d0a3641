"""The wheel: installed without a checkout, it generates, prepares and finds its data."""

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
    models = installed / "musicrnn/_bundled/models"
    names = {"README.md", "config.json", "curves.png", "metrics.jsonl", "model.safetensors"}
    sets = ("jsb", "musedata", "nottingham", "piano-midi")
    papers = {f"chung2014/{name}-{cell}" for name in sets for cell in ("tanh", "gru", "lstm")}
    shipped = {"chorales-gru", *(f"best-{name}" for name in sets), *papers}
    found = {path.parent.relative_to(models).as_posix() for path in models.rglob("config.json")}
    assert found == shipped
    for name in shipped:
        assert {path.name for path in (models / name).iterdir()} == names
        limit = 250_000 if name in papers else 8_000_000
        assert sum(path.stat().st_size for path in (models / name).iterdir()) < limit
    assert sorted(path.name for path in (installed / "musicrnn/recipes/best").iterdir()) == [
        f"{name}.toml" for name in sets
    ]


def test_the_installed_program_needs_no_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    for arguments in (["sample", "-o", "out.mid"], ["prepare", "--quiet"], ["evaluate", "--split", "valid"]):
        command = [sys.executable, "-m", "musicrnn", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mid").stat().st_size > 500
    assert "models/chorales-gru (shipped with musicrnn)" in done.stderr
