"""The benchmarks of training, on a tiny corpus; no speed is asserted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import processes, time_to_nll, training
from musicrnn.corpus import Corpus

on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def test_both_sides_train_on_the_same_batches(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(corpus.directory), "--only", "speed", "--hidden", "8", "--batch-size", "2", "--batches", "3"]
    assert training.main([*words, "--rounds", "2", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["speed"]
    assert row["hidden"] == 8 and len(row["rounds"]) == len(row["plain_rounds"]) == 2
    assert row["ratio"] == pytest.approx(row["frames_per_second"] / row["plain_frames_per_second"])
    assert 0 < row["kernels"] < 1 and row["products"] > 0


def test_a_missed_target_is_a_failure(
    corpus: Corpus, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "RATIOS", {8: 1e9})
    words = [str(corpus.directory), "--only", "speed", "--hidden", "8", "--batch-size", "2", "--batches", "2"]
    assert training.main([*words, "--rounds", "1"]) == 1
    assert "target: H = 8: at least 1e+09 times the plain script: missed" in capsys.readouterr().out


@on_linux
def test_memory_is_measured_from_outside(corpus: Corpus, tmp_path: Path) -> None:
    found = processes.memory_by_epoch(corpus.directory, tmp_path / "run", 8, 2)
    assert len(found) == 2 and min(found) > 2**24


@on_linux
def test_the_first_update_is_measured_from_outside(corpus: Corpus, tmp_path: Path) -> None:
    found = processes.start(corpus.directory, tmp_path / "run", 8, 3)
    assert 0 < found["seconds"] <= found["later_seconds"]
    assert found["peak_megabytes"] >= found["megabytes"] > 10


def test_time_to_nll_compares_medians(
    corpus: Corpus, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(command: list[str]) -> dict[str, Any]:
        commands.append(command)
        seconds = 2.0 if "train" in command else 60.0 + len(commands)
        return {"process_seconds": seconds, "epochs": 5, "valid_nll": 8.5, "frames_per_second": 1e4}

    monkeypatch.setattr(time_to_nll, "run", run)
    assert time_to_nll.main([str(corpus.directory), "--json", "--", "--cell", "lstm"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ratio"] == pytest.approx(33)  # the first run of each isn't measured
    ours, theirs = (
        [command for command in commands if ("train" in command) == mine] for mine in (True, False)
    )
    assert len(ours) == len(theirs) == 4
    assert all(command[-2:] == ["--cell", "lstm"] and "8.6" in command for command in ours)
    assert [command[command.index("--seed") + 1] for command in ours[1:]] == ["0", "1", "2"]
    assert "plain.py" in theirs[1][1] and "--cell" not in theirs[1]
