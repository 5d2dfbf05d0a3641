"""Bad input of every kind: one line with the file, what was expected and what was found; no traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from musicrnn.corpus import Corpus
from musicrnn.music import Score, write_midi
from tests.conftest import make_midi

Invoke = Callable[..., Result]


def refused(result: Result, pattern: str, code: int = 1) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("model: ")]
    assert len(lines) == 1, result.stderr
    assert re.search(pattern, lines[0]), lines[0]
    assert lines[0].startswith("error: ")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("missing", None, "missing: expected a file, a folder, .* found nothing there"),
        ("folder/", None, "folder: expected music .* found none"),
        ("empty.mid", b"", "empty.mid: expected a MIDI file, found an empty file"),
        (
            "text.mid",
            b"hello, world",
            r"text.mid: expected a MIDI file \(MThd\), found a file that starts b'hell'",
        ),
        ("page.mid", b"<html></html>", "page.mid: expected a MIDI file"),
        ("broken.mat", b"MATLAB 5.0", "broken.mat: expected a .mat file of piano rolls, found damage"),
    ],
)
def test_prepare_refuses(
    invoke: Invoke, tmp_path: Path, name: str, content: bytes | None, pattern: str
) -> None:
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    refused(invoke("prepare", tmp_path / name, "-o", tmp_path / "out"), pattern)
    assert not (tmp_path / "out").exists()


def test_prepare_refuses_a_truncated_file_alone_and_skips_it_among_others(
    invoke: Invoke, tmp_path: Path
) -> None:
    folder = make_midi(tmp_path / "midi", 3)
    whole = (folder / "piece-00.mid").read_bytes()
    (folder / "piece-00.mid").write_bytes(whole[:-9])
    refused(
        invoke("prepare", folder / "piece-00.mid"), r"piece-00.mid: expected \d+ bytes in chunk 2, found \d+"
    )
    result = invoke("prepare", folder, "-o", "out")
    assert result.exit_code == 0 and "skipped 1 of 3 pieces (1 truncated): out/report.jsonl" in result.stderr


def test_prepare_refuses_invalid_flags(invoke: Invoke, midi_folder: Path) -> None:
    refused(invoke("prepare", midi_folder, "--pitches", "low"), "--pitches: expected LOW:HIGH", 2)
    refused(
        invoke("prepare", midi_folder, "--pitches", "90:20"),
        "pitches must be LOW:HIGH within 0:127, got 90:20",
    )
    refused(invoke("prepare", midi_folder, "--resolution", 0), "resolution must be 1 to 96 .* got 0")
    refused(
        invoke("prepare", midi_folder, "--channels", "onset"), "channels must be one of frame, frame\\+onset"
    )
    refused(
        invoke("prepare", midi_folder, "--valid", 0.9, "--test", 0.1), "--valid, --test: expected shares", 2
    )


def test_unwritable_outputs_are_named(invoke: Invoke, tmp_path: Path, corpus: Corpus, trained: Path) -> None:
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "below"
    refused(invoke("prepare", "-o", below), "file.*: can't write: ")
    refused(invoke("sample", trained, "-o", below / "x.mid"), "file.*: can't write: ")
    refused(invoke("train", corpus.directory, "-o", below, "--epochs", 1, "--quiet"), "file.*: can't write: ")
    refused(invoke("sample", trained, "-o", tmp_path), "expected a file to write, found a folder")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(invoke: Invoke, tmp_path: Path, trained: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(
        invoke("sample", trained, "-o", tmp_path / "locked" / "x.mid"),
        "x.mid.*: can't write: Permission denied",
    )


def test_missing_and_foreign_folders(invoke: Invoke, corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    refused(invoke("train", "nowhere"), "nowhere: expected a corpus .* found nothing")
    refused(invoke("train", trained), "tiny: expected a corpus .* found a folder without corpus.json")
    refused(invoke("evaluate", "nowhere"), "nowhere: expected a model .* found nothing")
    refused(invoke("evaluate", corpus.directory), "tiny: expected a model .* found a corpus")
    refused(invoke("evaluate", trained, "nowhere"), "nowhere: expected a corpus .* found nothing")
    refused(invoke("show", "nowhere.mid"), "nowhere.mid: can't read: No such file")
    silent = Score(480, (), end=0)
    write_midi(silent, tmp_path / "silent.mid")
    refused(
        invoke("show", "silent.mid"),
        "silent.mid: expected at least one note or a length, found an empty score",
    )
    refused(invoke("render", "silent.mid"), "silent.mid: expected at least one note to render")
    refused(invoke("prepare", "silent.mid"), "silent.mid: expected notes, found none")
    (tmp_path / "dir").mkdir()
    refused(invoke("show", "dir"), "dir: expected a MIDI file, a corpus or a model; this folder is neither")
    refused(invoke("evaluate", trained, corpus.directory, "--split", "dev"), "expected a split 'dev'")


def test_other_versions_and_damage(invoke: Invoke, corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus.directory, "c")
    shutil.copytree(trained, "m")
    for path, kind in ((Path("c/corpus.json"), "corpus"), (Path("m/config.json"), "model")):
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, "version": 7}))
        refused(
            invoke("evaluate", "m", "c") if kind == "model" else invoke("train", "c"),
            rf"{kind} version \d, found 7: a newer musicrnn wrote it",
        )
        path.write_text("{")
        refused(
            invoke("evaluate", "m", "c") if kind == "model" else invoke("train", "c"),
            "expected JSON, found damage",
        )
        path.write_text(json.dumps(document))
    Path("m/model.safetensors").write_bytes(b"junk")
    refused(invoke("evaluate", "m", "c"), "model.safetensors: expected tensors .* found damage")
    content = Path("c/frames.bin").read_bytes()
    Path("c/frames.bin").write_bytes(content[:-1])
    refused(invoke("train", "c", "-o", "r"), r"frames.bin: expected \d+ bytes, found \d+")
    Path("c/frames.bin").write_bytes(bytes([content[0] ^ 128]) + content[1:])
    refused(
        invoke("evaluate", trained, "c", "--split", corpus.pieces[0].split), "frames.bin: expected checksum"
    )


def test_a_model_and_a_corpus_that_do_not_fit(invoke: Invoke, trained: Path, midi_folder: Path) -> None:
    assert invoke("prepare", midi_folder, "-o", "wide").exit_code == 0
    refused(invoke("evaluate", trained, "wide"), "wide: expected frames of D=24, as the model, found D=176")
    refused(
        invoke("train", "wide", "--init-from", trained, "--hidden", 8, "-o", "r", "-q"),
        "expected a network with",
    )


def test_runs_are_protected(invoke: Invoke, corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, "run")
    before = Path("run/model.safetensors").read_bytes()
    train = ("train", corpus.directory, "--hidden", 8, "--epochs", 1, "--quiet", "-o")
    refused(invoke(*train, "run"), "run: found a run, expected a new folder, --resume or --overwrite")
    refused(
        invoke(*train, "run", "--resume", "--cell", "tanh"),
        "can't resume with .*: the run was started with",
        2,
    )
    assert Path("run/model.safetensors").read_bytes() == before
    assert invoke(*train, "run", "--overwrite").exit_code == 0
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    refused(invoke(*train, "thesis", "--overwrite"), "thesis: expected a run or an empty folder to write to")


def test_the_old_run_is_kept_until_the_new_network_exists(
    invoke: Invoke, corpus: Corpus, trained: Path
) -> None:
    shutil.copytree(trained, "run")
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    train = ("train", corpus.directory, "-o", "run", "--overwrite", "--quiet")
    refused(invoke(*train, "--device", "tpu9"), "--device tpu9", 2)
    refused(invoke(*train, "--peepholes"), "peepholes need a cell with a memory", 2)
    refused(invoke(*train, "--init-from", "nowhere"), "nowhere: expected a model")
    refused(invoke(*train, "--init-from", trained, "--hidden", 9), "expected a network with")
    refused(invoke(*train, "--resume"), "--resume, --overwrite: expected one of them", 2)
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


def test_only_a_run_with_its_state_and_its_corpus_is_resumed(
    invoke: Invoke, corpus: Corpus, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, "run")
    make_midi(tmp_path / "midi", 4, seed=1)
    assert invoke("prepare", "midi", "-o", "other", "--pitches", "60:71").exit_code == 0
    refused(
        invoke("train", "other", "-o", "run", "--resume", "-q"), "run: can't resume with other: expected", 2
    )
    shutil.rmtree("run/resume")
    before = Path("run/model.safetensors").read_bytes()
    refused(
        invoke("train", corpus.directory, "-o", "run", "--resume", "-q"),
        "state.safetensors: expected the state to resume from, found nothing",
    )
    assert Path("run/model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "pattern", "code"),
    [
        (
            ("--bars", 2, "--beats", 3),
            "expected one of --bars, --beats, --frames, --seconds; found --bars, --beats",
            2,
        ),
        (("--bars", 0), "--bars: expected a length above 0 and below 1e9, found 0", 2),
        (("--seconds", "inf"), "--seconds: expected a length above 0 and below 1e9, found inf", 2),
        (("--frames", 10**6), "frames must be 1 to 262144", 2),
        (("--temperature", 0), "temperature must be above 0, got 0", 2),
        (("--count", 0), "--count: expected at least 1, found 0", 2),
        (("--tempo", 0), "--tempo: expected 4 to 1000 quarter notes per minute, found 0", 2),
        (("--seed", -1), "--seed: expected 0 or more, found -1", 2),
        (("-o", "-", "--json"), "-o -: expected one MIDI file on stdout, found --json", 2),
        (("-o", "-", "--count", 2), "-o -: expected one MIDI file on stdout, found --count 2", 2),
        (("--include-primer",), "--include-primer: expected a --primer, found none", 2),
        (("--primer", "none.mid"), "none.mid: can't read: No such file", 1),
    ],
)
def test_sample_refuses(
    invoke: Invoke, trained: Path, flags: tuple[object, ...], pattern: str, code: int
) -> None:
    refused(invoke("sample", trained, *flags), pattern, code)
    assert not Path("sample.mid").exists()


def test_wrong_usage_exits_with_2(invoke: Invoke, corpus: Corpus) -> None:
    assert invoke("train", "--hiden", 3).exit_code == 2
    assert invoke("train", "--hidden", "many").exit_code == 2
    assert invoke("frobnicate").exit_code == 2
    refused(
        invoke("train", corpus.directory, "--cell", "gruu", "-o", "r", "-q"),
        "cell must be one of tanh, lstm, gru",
        2,
    )
    refused(
        invoke("train", corpus.directory, "--device", "tpu9", "-o", "r", "-q"),
        "--device tpu9: expected a device",
        2,
    )
    refused(invoke("datasets", "get", "mnist"), "datasets get: expected one of jsb, .* found mnist", 2)
    refused(invoke("reproduce", "elman1990"), "reproduce: expected chung2014, found elman1990", 2)
    refused(invoke("sweep", corpus.directory, "--trials", 0), "trials must be at least 1, got 0", 2)
    refused(invoke("render", "-"), "render -: expected -o FILE.wav, found none", 2)
