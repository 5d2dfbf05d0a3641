"""A head that the program doesn't have works in every command after adding one file and one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE_LINE = '    "shared-factor": "shared_factor.SharedFactor",\n'


@pytest.fixture
def extended(tmp_path: Path) -> Callable[..., str]:
    """The command line of a copy of the program with one file and one line more, as real processes."""
    shutil.copytree(ROOT / "musicrnn", tmp_path / "musicrnn", ignore=shutil.ignore_patterns("__pycache__"))
    heads = tmp_path / "musicrnn" / "nn" / "heads"
    shutil.copy(ROOT / "tests" / "nn" / "heads" / "shared_factor.py", heads)
    table = (heads / "__init__.py").read_text()
    (heads / "__init__.py").write_text(table.replace("HEADS = {\n", "HEADS = {\n" + TABLE_LINE))

    def run(*arguments: object) -> str:
        command = [sys.executable, "-m", "musicrnn", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run


@pytest.mark.parametrize("structure", [(), ("--attention", 1, "--pitchwise", 3)])
def test_it_trains_evaluates_and_samples(
    extended: Callable[..., str], structure: tuple[object, ...], tmp_path: Path
) -> None:
    extended("prepare", ROOT / "data" / "chorales" / "bwv*8.mid", "-o", "corpus")
    network = ("--head", "shared-factor", "--hidden", 8, *structure)
    trained = json.loads(
        extended("train", "corpus", "-o", "run", "--epochs", 2, *network, "--transpose=-1:1", "--json")
    )
    assert trained["epochs"] == 2 and trained["valid_nll"] < 40
    evaluated = json.loads(extended("evaluate", "run", "corpus", "--json"))
    assert evaluated["nll_per_frame"] == pytest.approx(trained["test_nll"], rel=1e-5)
    assert 0 < evaluated["recall"] < 1 or evaluated["recall"] == 0
    extended("evaluate", "run", "corpus", "--dynamic", "--split", "valid")
    for name in ("a.mid", "b.mid"):
        extended("sample", "run", "-o", name, "--seed", 3, "--bars", 4)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    extended("sample", "run", "-o", "c.mid", "--primer", "a.mid", "--bars", 2, "--threshold", 0.3)
