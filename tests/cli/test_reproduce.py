"""``musicrnn reproduce``: its output and its errors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

from musicrnn.corpus import Corpus
from musicrnn.errors import CorpusError
from musicrnn.experiments.chung2014 import paper
from tests.conftest import ran
from tests.experiments.chung2014.tiny import install, named

Invoke = Callable[..., Result]


@pytest.fixture
def prepared(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a tiny corpus in place of each data set."""
    install(monkeypatch)
    monkeypatch.chdir(tmp_path)

    def opened(names: Sequence[str]) -> list[Corpus]:
        return [named(corpus, name) for name in names]

    monkeypatch.setattr(paper, "open_corpora", opened)


@pytest.mark.usefixtures("prepared")
def test_everything_is_done_by_default_and_only_narrows_it(invoke: Invoke, tmp_path: Path) -> None:
    whole = invoke("reproduce", "chung2014", "--quick", "-o", "out")
    rows = [line for line in ran(whole).splitlines() if re.match(r"\| (Nott|JSB|Muse|Piano)", line)]
    assert len(rows) == 24 and len(list(tmp_path.glob("out/*.png"))) == 4
    assert "about" in whole.stderr and whole.stderr.endswith("out/README.md\n")
    part = ran(invoke("reproduce", "--only", "jsb,lstm", "--quick", "-o", "out", "--json", "--quiet"))
    document = json.loads(part)
    assert list(document) == ["table_1", "table_2"] and len(document["table_1"]) == 6
    assert [(row["data"], row["cell"], row["paper_test"]) for row in document["table_2"]] == [
        ("jsb", "lstm", 8.67)
    ]
    assert len(json.loads((tmp_path / "out" / "table2.json").read_text())) == 12
    ran(invoke("reproduce", "--quick", "-o", "out", "--ship", "shipped"))
    assert len(list(tmp_path.glob("shipped/*/model.safetensors"))) == 12


@pytest.mark.usefixtures("prepared")
def test_a_dry_run_trains_nothing(invoke: Invoke, tmp_path: Path) -> None:
    text = ran(invoke("reproduce", "--only", "jsb,gru", "--dry-run", "-o", "out", "--workers", 3))
    assert re.search(r"^about \d+ s on 3 processes, less where training stops early$", text, re.MULTILINE)
    document = json.loads(ran(invoke("reproduce", "--only", "jsb", "--dry-run", "-o", "out", "--json")))
    assert document["plan"][0].startswith("jsb: tanh, gru, lstm; 3 rates") and document["seconds"] >= 0
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("prepared")
def test_failures_are_named_at_the_end(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "out" / "runs").mkdir(parents=True)
    (tmp_path / "out" / "runs" / "jsb-gru-rate02").touch()
    done = invoke("reproduce", "--only", "jsb,gru,tanh", "--quick", "-o", "out")
    assert done.exit_code == 1 and "| JSB Chorales | tanh 100 | 8.82 |" in done.stdout
    assert done.stderr.splitlines()[-1].startswith(
        "error: out: expected all runs to be trained, found failures (jsb-gru-rate02: "
    )


@pytest.mark.usefixtures("prepared")
def test_wrong_usage_is_one_line(invoke: Invoke) -> None:
    for flags, message, code in [
        (("--only", "jsb,rnn"), "--only: expected names among nottingham, .*lstm; found rnn", 2),
        (("--seeds", 0), "seeds must be at least 1, got 0", 2),
        (("--workers", -1), "workers must be at least 0, got -1", 2),
        (("--check", "--quick"), "--check trains nothing: expected no --quick.* found one", 2),
        (("--check",), ".*: expected frames of D=88, as the model, found D=24 .*", 1),
    ]:
        done = invoke("reproduce", "chung2014", *flags)
        assert done.exit_code == code and done.stdout == ""
        assert re.fullmatch(f"error: {message}\n", done.stderr), done.stderr


def test_another_corpus_in_place_of_a_data_set_is_refused(
    invoke: Invoke, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "prepared").mkdir()
    (tmp_path / "data" / "prepared" / "jsb").symlink_to(corpus.directory)
    done = invoke("reproduce", "--only", "jsb")
    assert done.exit_code == 1
    assert "data/prepared/jsb: expected the published jsb, (13807, 4602, 4725) frames of 88" in done.stderr


def test_without_a_connection_the_error_names_what_to_do(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: list[str]) -> None:
        raise CorpusError(
            "https://x/JSB_Chorales.mat: can't be fetched (no connection); --from DIR takes a copy"
        )

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musicrnn.corpus.build.collect", fail)
    done = invoke("reproduce", "--only", "jsb")
    assert done.exit_code == 1
    assert done.stderr == (
        "error: https://x/JSB_Chorales.mat: can't be fetched (no connection); with a copy of it, "
        "`musicrnn prepare JSB_Chorales.mat -o data/prepared/jsb` makes the corpus\n"
    )


def test_ctrl_c_saves_and_prints_how_to_continue(corpus: Corpus, tmp_path: Path) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from musicrnn.corpus import open_corpus\n"
        "from musicrnn.experiments.chung2014 import paper\n"
        "from tests.experiments.chung2014 import tiny\n"
        "tiny.TRAINING = tiny.settings.Training(4, 10**6, 10**6, (10**5, 10**6 - 1))\n"
        "tiny.shrink()\n"
        f"corpus = tiny.named(open_corpus({str(corpus.directory)!r}), 'jsb')\n"
        "paper.open_corpora = lambda names: [corpus]\n"
        "from musicrnn.cli.app import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "reproduce", "--only", "jsb,gru", "-o", "out", "--workers", "2"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 240
        while len(list(tmp_path.glob("out/runs/*/resume/state.safetensors"))) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and output == b""
    saved = "all runs are saved; run the same command to continue"
    assert errors.decode().endswith(f"{saved}\nerror: interrupted\n")
