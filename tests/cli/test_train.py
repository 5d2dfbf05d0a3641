"""``musicrnn train`` as real processes: killed and resumed, repeated, in several processes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from musicrnn.corpus import Corpus
from tests.conftest import make_midi, ran

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Invoke = Callable[..., Result]
ROOT = Path(__file__).parents[2]


def start(folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "musicrnn", "train", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def valid_nlls(run: Path) -> list[float]:
    return [json.loads(line)["valid_nll"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_killed_repeatedly_ends_with_the_same_bytes(
    invoke: Invoke, corpus: Corpus, tmp_path: Path
) -> None:
    settings = ("--hidden", 8, "--epochs", 40, "--batch-size", 2, "--patience", 40, "--save-minutes", 0)
    run = tmp_path / "broken"
    ran(invoke("train", corpus.directory, "-o", tmp_path / "whole", *settings))
    rng, kills = random.Random(0), 0
    for _ in range(3):
        before = lines(run / "metrics.jsonl")
        arguments = ("--resume",) if run.exists() else settings
        with start(tmp_path, corpus.directory, "-o", run, *arguments) as process:
            wait_for(lambda: lines(run / "metrics.jsonl") > before or process.poll() is not None)  # noqa: B023
            time.sleep(rng.uniform(0, 0.15))
            process.kill()
        kills += process.returncode == -signal.SIGKILL
    assert kills, "a kill has to hit for this test to tell"
    ran(invoke("train", corpus.directory, "-o", run, "--resume"))
    whole, broken = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken and len(valid_nlls(run)) == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_epoch_saves_there(
    number: signal.Signals, invoke: Invoke, tmp_path: Path
) -> None:
    make_midi(tmp_path / "midi", 40)
    ran(invoke("prepare", tmp_path / "midi", "-o", tmp_path / "c"))
    settings = ("--hidden", 8, "--epochs", 5000, "--patience", 5000, "--batch-size", 1)
    with start(tmp_path, "c", "-o", "r", *settings) as process:
        wait_for((tmp_path / "r" / "resume" / "state.safetensors").exists)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"saved; resume with: musicrnn train c -o r --resume" in errors and b"Traceback" not in errors
    done = lines(tmp_path / "r" / "metrics.jsonl")
    resumed = invoke(
        "train", tmp_path / "c", "-o", tmp_path / "r", "--resume", "--epochs", done + 1, "--json"
    )
    assert json.loads(resumed.stdout)["epochs"] == done + 1 and "resumed after epoch" in resumed.stderr


def test_two_processes_with_half_the_batch_follow_one(musicrnn: Run, corpus: Corpus, tmp_path: Path) -> None:
    settings = ("--hidden", 8, "--epochs", 5, "--batch-size", 4, "--layers", 2, "--average", "ema", "--json")
    alone = json.loads(musicrnn("train", corpus.directory, "-o", "one", *settings).stdout)
    done = musicrnn("train", corpus.directory, "-o", "two", *settings, "--devices", 2)
    assert done.returncode == 0, done.stderr
    together = json.loads(done.stdout)
    assert together["epochs"] == alone["epochs"] == 5
    assert valid_nlls(tmp_path / "two") == pytest.approx(valid_nlls(tmp_path / "one"), abs=1e-4)
    assert together["test_nll"] == pytest.approx(alone["test_nll"], abs=1e-4)
    assert done.stderr.count(b"epoch   5") == 1, "one of the processes speaks"


def test_an_error_in_several_processes_is_one_line(musicrnn: Run, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    done = musicrnn("train", corpus.directory, "-o", "taken", "--devices", 2)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        b"error: taken: expected a run or an empty folder to write to, found other files"
    ]


def test_other_commands_print_errors_in_every_process(
    invoke: Invoke, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = invoke("evaluate", tmp_path / "nothing", corpus.directory)
    assert refused.exit_code == 1 and refused.stderr.startswith("error: ")
    assert invoke("train", tmp_path / "nothing").stderr == ""


def test_a_run_is_repeated_to_the_bit_from_its_config(invoke: Invoke, corpus: Corpus, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    settings = ("--hidden", 8, "--epochs", 2, "--dropout", 0.2, "--transpose", "-2:1", "--average", "polyak")
    ran(invoke("train", corpus.directory, "-o", first, *settings))
    ran(invoke("train", "--config", first / "config.json", "-o", second))
    ran(invoke("train", "--config", first / "config.json", "-o", third, "--seed", 1, "--no-tied"))
    weights = [(run / "model.safetensors").read_bytes() for run in (first, second, third)]
    assert weights[0] == weights[1] != weights[2]
    config = json.loads((third / "config.json").read_text())["training"]
    assert (config["seed"], config["dropout"], config["transpose"]) == (1, 0.2, "-2:1")


def test_flags_win_over_a_file_which_wins_over_the_model_to_start_from(
    invoke: Invoke, corpus: Corpus, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text("epochs = 3\nbatch_size = 5\n")
    run = tmp_path / "run"
    file = tmp_path / "a.toml"
    ran(invoke("train", corpus.directory, "--init-from", trained, "--config", file, "--epochs", 1, "-o", run))
    config = json.loads((run / "config.json").read_text())["training"]
    assert (config["hidden"], config["batch_size"], config["epochs"]) == (8, 5, 1)
    assert config["init_from"] == str(trained)


def test_a_resumed_run_keeps_its_settings(invoke: Invoke, corpus: Corpus, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ran(invoke("train", corpus.directory, "-o", run, "--hidden", 4, "--epochs", 1, "--schedule", "linear"))
    for flag, value in (("--epochs", 3), ("--hidden", 5)):
        refused = invoke("train", corpus.directory, "-o", run, "--resume", flag, value)
        assert refused.exit_code == 2 and "can't resume with" in refused.stderr


def test_a_run_killed_before_it_was_saved_starts_over_with_its_settings(
    invoke: Invoke, corpus: Corpus, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    ran(invoke("train", corpus.directory, "-o", whole, "--hidden", 4, "--epochs", 1))
    broken.mkdir()
    (broken / ".config.json.x.tmp").write_text("{")
    ran(invoke("train", corpus.directory, "-o", broken, "--resume", "--hidden", 4, "--epochs", 1))
    (broken / "resume" / "state.safetensors").unlink()  # the best weights are written before it
    (broken / "metrics.jsonl").write_bytes(b"")
    ran(invoke("train", corpus.directory, "-o", broken, "--resume"))
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_range_test_names_a_rate_and_trains_nothing(invoke: Invoke, corpus: Corpus, tmp_path: Path) -> None:
    found = invoke(
        "train",
        corpus.directory,
        "--range-test",
        "--hidden",
        8,
        "--batch-size",
        4,
        "-o",
        tmp_path / "r",
        "--json",
    )
    document = json.loads(ran(found))
    assert 0 < document["suggested"] <= document["lowest"]
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"range.json", "range.png"}


def test_several_machines_have_to_know_each_other(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "NODE_RANK", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    refused = invoke("train", "--nodes", 2)
    assert refused.exit_code == 2
    assert "--nodes 2: expected the variables MASTER_ADDR" in refused.stderr


def test_the_help_gives_every_technique_with_its_reference(invoke: Invoke) -> None:
    text = " ".join(ran(invoke("train", "--help")).split())
    for words in (
        "Loshchilov and Hutter",
        "Zaremba et al. 2014",
        "Gal and Ghahramani 2016",
        "Merity et al. 2018",
        "Press and Wolf 2017",
        "Graves 2011",
        "Polyak and Juditsky 1992",
        "Smith 2017",
        "Williams and Peng 1990",
    ):
        assert words in text


def test_a_published_set_is_named_and_its_recipe_is_taken(
    invoke: Invoke, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(corpus.directory, "data/prepared/jsb")
    facts = Path("data/prepared/jsb/corpus.json")
    facts.write_text(facts.read_text().replace(f'"name": "{corpus.name}"', '"name": "jsb"', 1))
    smaller = ("--hidden", 4, "--pitchwise", 2, "--epochs", 1)
    document = json.loads(ran(invoke("train", "jsb", "--recipe", "best", *smaller, "--json")))
    assert document["model"] == "models/runs/jsb-best" and document["hidden"] == 4
    settings = json.loads(Path("models/runs/jsb-best/config.json").read_text())["training"]
    assert settings["attention"] == 4 and settings["pitchwise"] == 2 and settings["average"] == "ema"
    assert "jsb" in ran(invoke("evaluate", "models/runs/jsb-best", "jsb"))
    done = invoke("train", corpus.directory, "--recipe", "best")
    assert done.exit_code == 2 and "found no such recipe for" in done.stderr
