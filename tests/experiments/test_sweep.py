"""Sweeps as a whole: what they sample, what they write, and that they can be interrupted anywhere."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.errors import MusicRNNError, UsageError
from musicrnn.experiments.sweep import SweepResult, rows, sweep
from musicrnn.experiments.sweep.settings import make_settings
from musicrnn.experiments.sweep.space import make_space, read_space
from musicrnn.experiments.sweep.store import Trial, open_store
from musicrnn.experiments.sweep.worker import SweepWorker
from musicrnn.training import Recipe

pytest.importorskip("optuna", reason="needs the extra sweep")

BASE = Recipe.of(hidden=4, epochs=2, batch_size=4)
SPACE = make_space(
    {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, "dropout": {"low": 0.0, "high": 0.5}},
    BASE,
    "here",
)


class Interrupting:
    """Interrupts a sweep when a trial has had so many epochs."""

    def __init__(self, number: int, epochs: int) -> None:
        self.at = number, epochs
        self.lines: list[str] = []

    def begin(self, done: int, trials: int) -> None:
        self.lines.append(f"{done} of {trials}")

    def epoch(self, trial: Trial) -> None:
        if (trial.number, trial.epochs) == self.at:
            raise KeyboardInterrupt

    def died(self, how: str) -> None:
        raise AssertionError(how)

    def finished(self, trial: Trial, best: Trial | None) -> None:
        assert best is not None
        self.lines.append(f"{trial.number} {trial.state}, best {best.number}")


def outcomes(found: SweepResult) -> dict[int, tuple[dict[str, Any], float | None, bytes]]:
    """Return settings, NLL and weights of every trial."""
    return {
        trial.number: (trial.settings, trial.valid_nll, (trial.run / "model.safetensors").read_bytes())
        for trial in found.trials
    }


def test_a_sweep_continues_where_it_stopped_with_the_samples_it_would_have_taken(
    corpus: Corpus, tmp_path: Path
) -> None:
    first = outcomes(sweep(corpus, BASE, SPACE, tmp_path / "a", trials=2))
    resumed = outcomes(sweep(corpus, BASE, SPACE, tmp_path / "a", trials=4))
    assert {number: resumed[number] for number in first} == first
    undisturbed = sweep(corpus, BASE, SPACE, tmp_path / "b", trials=4)
    assert resumed == outcomes(undisturbed)
    nlls = [trial.valid_nll for trial in undisturbed.trials]
    assert nlls == sorted(nlls) and len({str(each[0]) for each in resumed.values()}) == 4  # type: ignore[type-var]
    assert undisturbed.best == undisturbed.trials[0]
    assert load_model(tmp_path / "a" / "trial-003").settings.recurrent.hidden == 4


@pytest.mark.parametrize("shared", [False, True], ids=["journal", "sqlite"])
def test_an_interrupted_trial_continues(corpus: Corpus, tmp_path: Path, shared: bool) -> None:
    storage = f"sqlite:///{tmp_path / 'sweep.db'}" if shared else None
    callback = Interrupting(1, 1)

    def run(directory: Path) -> SweepResult:
        return sweep(corpus, BASE, SPACE, directory, trials=3, storage=storage, callback=callback)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a")
    assert not (tmp_path / "a" / "trial-001" / "README.md").exists()
    callback.at = (-1, 0)
    interrupted = run(tmp_path / "a")
    assert callback.lines[:3] == ["0 of 3", "0 complete, best 0", "1 of 3"]
    assert [line[:10] for line in callback.lines[3:]] == ["1 complete", "2 complete"]
    assert outcomes(interrupted) == outcomes(run(tmp_path / "b"))


def test_tpe_repeats_itself_and_learns(corpus: Corpus, tmp_path: Path) -> None:
    def run(name: str, sampler: str) -> dict[int, Any]:
        found = sweep(
            corpus, Recipe.of(hidden=2, epochs=1), SPACE, tmp_path / name, trials=7, sampler=sampler
        )
        return outcomes(found)

    first, random = run("a", "tpe"), run("random", "random")
    assert first == run("b", "tpe")
    assert first[6] != random[6]


def test_trials_that_go_badly_are_pruned(corpus: Corpus, tmp_path: Path) -> None:
    space = make_space({"learning_rate": [0.05, 1e-6]}, BASE, "here")
    base = Recipe.of(hidden=4, epochs=4, batch_size=4)

    def run() -> SweepResult:
        return sweep(corpus, base, space, tmp_path, trials=12, pruner="median")

    found = run()
    states = {trial.number: trial.state for trial in found.trials}
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned and set(states.values()) == {"complete", "pruned"}
    assert found.trials[-len(pruned) :] == pruned and found.best.settings == {"learning_rate": 0.05}
    for trial in pruned:
        assert trial.number >= 5 and 1 <= trial.epochs < 4 and trial.settings == {"learning_rate": 1e-6}
        lines = (trial.run / "metrics.jsonl").read_text().splitlines()
        assert trial.valid_nll == min(json.loads(line)["valid_nll"] for line in lines)
        assert len(lines) == trial.epochs and not (trial.run / "README.md").exists()
    assert run().trials == found.trials


def test_successive_halving_prunes(corpus: Corpus, tmp_path: Path) -> None:
    found = sweep(corpus, BASE, SPACE, tmp_path, trials=6, pruner="halving")
    assert {trial.state for trial in found.trials} == {"complete", "pruned"}


def test_trials_that_fail_are_listed_and_not_tried_again(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Recipe.of(cell="tanh", hidden=4, epochs=3, batch_size=1, clip_norm=0)
    space = make_space({"learning_rate": [1e37, 0.01], "peepholes": [False, True]}, base, "here")
    found = sweep(corpus, base, space, tmp_path, trials=8)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    reasons = sorted({trial.reason.split(" in epoch")[0] for trial in failed})
    assert reasons[0] == "peepholes need a cell with a memory (lstm), got tanh"
    assert any(reason.startswith(("the loss became", "the gradient became")) for reason in reasons)
    assert [trial.state for trial in found.trials[: -len(failed)]] == ["complete"] * (8 - len(failed))
    monkeypatch.setattr("musicrnn.experiments.trials.train", None)
    assert sweep(corpus, base, space, tmp_path, trials=8).trials == found.trials


def test_a_sweep_without_a_complete_trial_says_why(corpus: Corpus, tmp_path: Path) -> None:
    base = Recipe.of(cell="tanh", hidden=4, epochs=9, batch_size=1, clip_norm=0)
    space = make_space({"learning_rate": {"low": 1e36, "high": 1e37}}, base, "here")
    message = "expected a trial that completes, found none of 2; the last: the (loss|gradient) became"
    with pytest.raises(MusicRNNError, match=message):
        sweep(corpus, base, space, tmp_path, trials=2)


def test_the_table_has_every_trial(corpus: Corpus, tmp_path: Path) -> None:
    space = make_space({"hidden": {"low": 2, "high": 4}, "cell": ["gru", "tanh"]}, BASE, "here")
    found = sweep(corpus, BASE, space, tmp_path, trials=3)
    with found.table.open() as file:
        table = list(csv.DictReader(file))
    assert [int(row["number"]) for row in table] == [trial.number for trial in found.trials]
    assert [row["cell"] for row in table] == [trial.settings["cell"] for trial in found.trials]


def test_the_best_run_of_another_machine_has_its_settings_here(corpus: Corpus, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    there = sweep(corpus, BASE, SPACE, tmp_path / "there" / "s", trials=2, storage=storage)
    here = sweep(corpus, BASE, SPACE, tmp_path / "here" / "s", trials=2, storage=storage)
    assert not here.best.run.exists() and here.config == tmp_path / "here" / "s" / "best.json"
    settings = json.loads(here.config.read_text())
    assert settings == json.loads(there.config.read_text())["training"]


def test_wrong_numbers_are_refused(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="workers must be at least 0, got -1"):
        sweep(corpus, BASE, SPACE, tmp_path, workers=-1)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"sweep needs Optuna: pip install 'musicrnn\[sweep\]'"):
        sweep(corpus, BASE, SPACE, tmp_path)


def test_what_a_worker_raises_is_raised_here(corpus: Corpus, tmp_path: Path) -> None:
    with open_store(tmp_path / "s", make_settings(corpus, BASE, SPACE, "random", "none"), None) as store:
        missing = open_corpus(shutil.copytree(corpus.directory, tmp_path / "corpus"))
        shutil.rmtree(missing.directory)
        worker = SweepWorker(store, missing, 1, "cpu", lambda: None)
        with pytest.raises(MusicRNNError, match="expected a corpus") as raised:
            worker.run_in_processes(1, lambda _: None)
    assert "Traceback" in str(raised.value.__cause__)


def test_killed_with_four_workers_no_trial_is_lost_or_run_twice(corpus: Corpus, tmp_path: Path) -> None:
    count, base = 8, Recipe.of(hidden=4, epochs=6, batch_size=2)
    space_file = tmp_path / "space.toml"
    space_file.write_text("learning_rate = { low = 1e-3, high = 1e-1, log = true }\n")
    space = read_space(space_file, base)
    undisturbed = sweep(corpus, base, space, tmp_path / "undisturbed", trials=count)
    flags = ["--trials", count, "--workers", 4, "--space", space_file, "--hidden", 4, "--weight-noise", 0.03]
    command = ["sweep", corpus.directory, "-o", "killed", *flags, "--epochs", 6, "--batch-size", 2]
    process = subprocess.Popen(
        [sys.executable, "-m", "musicrnn", *map(str, command), "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    killed = tmp_path / "killed"
    _wait(lambda: len(list(killed.glob("trial-*/README.md"))) >= 1, process)
    workers = _children(process.pid)
    for each in [*workers[:2], process.pid, *workers[2:]]:
        os.kill(each, signal.SIGKILL)
    process.wait()
    assert len(workers) == 4
    left = {path.parent.name: path.stat().st_mtime_ns for path in killed.glob("trial-*/README.md")}
    assert len(left) < count

    resumed = sweep(corpus, base, space, killed, trials=count)
    assert outcomes(resumed) == outcomes(undisturbed)
    assert [trial.state for trial in resumed.trials] == ["complete"] * count
    log = [json.loads(line) for line in (killed / "study.journal").read_text().splitlines()]
    created, told, reports = (
        [(entry.get("trial_id"), entry.get("step")) for entry in log if entry["op_code"] == code]
        for code in (4, 6, 7)
    )
    assert len(created) == len(told) == len(set(told)) == count
    assert len(reports) == len(set(reports)) == count * 6
    assert sorted(path.name for path in killed.glob("trial-*")) == [f"trial-{n:03d}" for n in range(count)]


def _wait(until: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not until():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def _children(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(child) for child, of in rows if int(of) == parent]


def test_a_searched_setting_of_the_name_of_a_column_keeps_its_value() -> None:
    searched = Trial(0, "complete", {"epochs": 30}, Path("s/trial-000"), 7.0, 12)
    assert rows([searched], {"epochs": [10, 30]})[0]["epochs"] == 30
