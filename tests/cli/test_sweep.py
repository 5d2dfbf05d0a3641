"""``musicrnn sweep``: from the command line to the command that repeats the best run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from musicrnn.corpus import Corpus
from tests.conftest import ran

pytest.importorskip("optuna", reason="needs the extra sweep")

Invoke = Callable[..., Result]
TINY = ("--hidden", 4, "--epochs", 2, "--batch-size", 4, "--device", "cpu")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musicrnn.training.loop.plot_curves", lambda *_, **__: None)


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the picture, which takes longer than trainings as small as these."""
    monkeypatch.setattr("musicrnn.experiments.sweep.plot_sweep", lambda *_, **__: None)


def test_the_printed_command_repeats_the_best_run(invoke: Invoke, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(
        'learning_rate = { low = 1e-3, high = 1e-1, log = true }\ncell = ["gru", "tanh"]\nseed = [3, 4]\n'
    )
    (tmp_path / "base.toml").write_text("epochs = 1\nhidden = 3\ntranspose = '-1:1'\n")
    done = invoke(
        *("sweep", corpus.directory, "-o", "my sweep", "--trials", 3, "--space", "space.toml"),
        *("--config", "base.toml", "--epochs", 2, "--device", "cpu"),
    )
    *table, last = ran(done).splitlines()
    assert table[0].split() == [
        "rank",
        "trial",
        "valid",
        "NLL",
        "epochs",
        "learning_rate",
        "cell",
        "seed",
        "state",
    ]
    assert len(table) == 4 and [line.split()[-1] for line in table[1:]] == ["complete"] * 3
    assert [float(line.split()[2]) for line in table[1:]] == sorted(float(x.split()[2]) for x in table[1:])
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("trial")] == [
        line for number in range(3) for line in lines if line.startswith(f"trial {number} complete, valid ")
    ]
    assert (tmp_path / "my sweep" / "sweep.png").exists() and (tmp_path / "my sweep" / "table.csv").exists()

    assert last.startswith("repeat the best: musicrnn train ")
    command = shlex.split(last.removeprefix("repeat the best: musicrnn "))
    best = Path(command[-1]).parent
    assert best.name == f"trial-{int(table[1].split()[1]):03d}"
    ran(invoke(*command, "-o", "again", "--device", "cpu"))
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (best / name).read_bytes()
    settings = json.loads((best / "config.json").read_text())["training"]
    assert settings["epochs"] == 2 and settings["hidden"] == 3 and settings["transpose"] == "-1:1"
    assert settings["weight_noise"] == 0.075 and settings["input_noise"] == 0.02


@pytest.mark.usefixtures("without_plots")
def test_json_is_one_document_and_a_finished_sweep_prints_the_same_again(
    invoke: Invoke, corpus: Corpus
) -> None:
    command = ("sweep", corpus.directory, "--trials", 2, "--learning-rates", "0.01:0.1", *TINY)
    text = ran(invoke(*command, "--json", "--quiet"))
    document = json.loads(text)
    assert list(document) == ["study", "trials", "best", "picture", "command"]
    study = f"models/sweeps/{corpus.name}-gru"
    assert document["study"] == study and document["picture"] == f"{study}/sweep.png"
    first, second = document["trials"]
    assert first["state"] == second["state"] == "complete" and first["valid_nll"] < second["valid_nll"]
    assert {first["number"], second["number"]} == {0, 1} and first["epochs"] == 2
    assert 0.01 <= first["learning_rate"] <= 0.1 and document["best"] == first["run"]
    assert document["command"].endswith(f"--config {first['run']}/config.json")
    assert ran(invoke(*command, "--json", "--quiet")) == text


@pytest.mark.usefixtures("without_plots")
def test_verbose_prints_every_epoch_and_quiet_nothing(invoke: Invoke, corpus: Corpus) -> None:
    done = invoke("sweep", corpus.directory, "--trials", 1, *TINY, "--verbose", "-o", "a")
    epochs = re.findall(r"^trial 0: epoch (\d), best valid \d\.\d{3}$", done.stderr, re.MULTILINE)
    assert epochs == ["1", "2"]
    assert invoke("sweep", corpus.directory, "--trials", 1, *TINY, "--quiet", "-o", "b").stderr == ""
    more = invoke("sweep", corpus.directory, "--trials", 2, *TINY, "-o", "b")
    assert more.stderr.startswith("resuming after 1 of 2 trials\ntrial 1 complete")


@pytest.mark.usefixtures("without_plots")
def test_the_command_sets_the_threads_that_a_large_network_had(invoke: Invoke, corpus: Corpus) -> None:
    for hidden, expected in ((4, "musicrnn"), (400, "OMP_NUM_THREADS=1 musicrnn")):
        flags = ("--trials", 1, "--epochs", 1, "--device", "cpu", "--hidden", hidden)
        command = ("sweep", corpus.directory, *flags, "-o", hidden)
        assert "repeat the best: musicrnn train" in ran(invoke(*command))
        torch.set_num_threads(2)
        try:
            assert f"repeat the best: {expected} train" in ran(invoke(*command))
        finally:
            torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--trials", 0), "trials must be at least 1, got 0"),
        (("--sampler", "grid"), "sampler must be one of random, tpe, got 'grid'"),
        (("--pruner", "hedge"), "pruner must be one of none, median, halving, got 'hedge'"),
        (("--workers", -1), "workers must be at least 0, got -1"),
        (("--learning-rates", "fast"), "--learning-rates: expected LOW:HIGH, .*, found 'fast'"),
        (("--learning-rates", "0.1:0.01"), "--learning-rates: learning_rate: expected low at most high"),
        (("--learning-rates", "0:0.01"), "--learning-rates: learning_rate must be above 0, got 0.0"),
        (("--space", "s.toml", "--learning-rates", "0.1:1"), "expected one of them, found both"),
        (("--space", "s.toml"), r"s\.toml: hidden must be at least 1, got 0"),
        (("--storage", "nonsense"), "--storage: expected a .* that Optuna can use"),
        (("--cell", "gruu"), "cell must be one of tanh, .*, got 'gruu'"),
        (("--peepholes",), "peepholes need a cell with a memory"),
    ],
)
def test_wrong_usage_is_one_line(
    invoke: Invoke, corpus: Corpus, tmp_path: Path, flags: tuple[object, ...], message: str
) -> None:
    (tmp_path / "s.toml").write_text("hidden = [0, 1]")
    done = invoke("sweep", corpus.directory, *flags, "-o", "s", "--device", "cpu")
    assert done.exit_code in (1, 2) and done.stdout == ""
    assert re.fullmatch(f"error: .*{message}.*\n", done.stderr), done.stderr
    assert not (tmp_path / "s" / "sweep.json").exists()


def test_without_optuna_the_error_names_what_to_install(
    invoke: Invoke, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = invoke("sweep", corpus.directory, "-o", "s")
    assert done.exit_code == 2
    assert done.stderr == "error: sweep needs Optuna: pip install 'musicrnn[sweep]'\n"


def test_ctrl_c_ends_the_workers_and_prints_how_to_continue(
    invoke: Invoke, corpus: Corpus, tmp_path: Path
) -> None:
    flags = ["--trials", 2, "--workers", 2, "--hidden", 3, "--epochs", 100000, "--patience", 100000]
    command = ["sweep", corpus.directory, "-o", "s", *flags, "--device", "cpu"]
    # Where tests run in the background SIGINT may be ignored, and a child would inherit that.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from musicrnn.cli.app import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("s/trial-*/resume/state.safetensors"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and output == b""
    lines = [line for line in errors.decode().splitlines() if not line.startswith("compiling")]
    assert lines == ["0 of 2 trials are done; run the same command to continue", "error: interrupted"]
    before = _epochs(tmp_path)
    time.sleep(0.5)
    assert _epochs(tmp_path) == before


def _epochs(folder: Path) -> list[int]:
    return [len(path.read_bytes().splitlines()) for path in sorted(folder.glob("s/trial-*/metrics.jsonl"))]
