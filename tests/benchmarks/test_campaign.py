"""Small versions of the fault-injection tests in ``benchmarks/``."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from benchmarks import campaign, interruptions
from tests.conftest import make_midi


def test_mutated_files_are_reported_and_good_ones_unchanged(tmp_path: Path) -> None:
    good = make_midi(tmp_path / "midi", 12)
    counts = campaign.run(good, tmp_path / "work", count=200, seed=1, workers=2)
    assert sum(counts.values()) == 200 and {"truncated", "damaged"} <= counts.keys()
    assert "crashed" not in counts and "time-limit" not in counts


def test_every_mutation_changes_something(midi_folder: Path) -> None:
    content = (midi_folder / "piece-00.mid").read_bytes()
    for mutation in campaign.MUTATIONS:
        changed = 0
        for seed in range(20):
            data = bytearray(content)
            mutation(data, random.Random(seed))
            changed += bytes(data) != content
        assert changed > 10, mutation.__name__


def test_killed_prepares_end_with_the_same_bytes(tmp_path: Path) -> None:
    midi = make_midi(tmp_path / "midi", 600)
    subprocess.run(interruptions.command(midi, tmp_path / "whole"), check=True, capture_output=True)
    interruptions.interrupted(midi, tmp_path / "killed", 3, 1.5, random.Random(0))
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    killed = {path.name: path.read_bytes() for path in (tmp_path / "killed").iterdir()}
    assert killed.keys() == whole.keys()
    assert [name for name in whole if killed[name] != whole[name]] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "midi", "whole"]
