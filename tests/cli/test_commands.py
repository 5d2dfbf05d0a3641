"""What each command does with its flags, run inside this process."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from musicrnn import open_corpus, read_midi
from musicrnn.corpus import Corpus
from musicrnn.training.recipe import SETTINGS
from tests.conftest import ran

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_prepare_takes_layout_and_split_flags(invoke: Invoke, midi_folder: Path) -> None:
    flags = (
        "--resolution",
        2,
        "--pitches",
        "55:80",
        "--channels",
        "frame",
        "--valid",
        0.5,
        "--test",
        0,
        "-o",
        "c",
    )
    document = json.loads(ran(invoke("prepare", midi_folder, *flags, "--json")))
    assert document["splits"] == {"train": 6, "valid": 6} and document["pieces"] == 12
    assert str(open_corpus("c").layout) == "D=26 (frame, pitches 55:80, 2 per quarter)"
    assert invoke("prepare", midi_folder, "-o", "c", "--seed", 1).exit_code == 0, "a corpus may be replaced"
    assert open_corpus("c").layout.width == 176


def test_without_sources_the_bundled_chorales_are_prepared_despite_files_of_that_name(
    invoke: Invoke, midi_folder: Path
) -> None:
    shutil.copytree(midi_folder, "chorales")
    assert json.loads(ran(invoke("prepare", "-o", "bundled", "--json")))["pieces"] == 384
    assert json.loads(ran(invoke("prepare", "chorales", "-o", "mine", "--json")))["pieces"] == 12


def test_train_repeats_a_run_from_its_config_to_the_byte(invoke: Invoke, corpus: Corpus) -> None:
    flags = ("--cell", "lstm", "--peepholes", "--hidden", 6, "--epochs", 2, "--dropout", 0.1, "--seed", 5)
    first = json.loads(ran(invoke("train", corpus.directory, "-o", "a", *flags, "--json")))
    second = json.loads(
        ran(invoke("train", corpus.directory, "-o", "b", "--config", "a/config.json", "--json"))
    )
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()
    assert (first["cell"], first["hidden"], first["test_nll"]) == ("lstm", 6, second["test_nll"])
    third = json.loads(ran(invoke("train", corpus.directory, "-o", "c", "--config", "a/config.json",
                                  "--hidden", 7, "--json")))  # fmt: skip
    assert (third["cell"], third["hidden"]) == ("lstm", 7), "flags win"


def test_the_help_of_train_gives_the_defaults_of_the_recipe(invoke: Invoke) -> None:
    text = re.sub(r"\s+", " ", ran(invoke("train", "--help")))
    for name, setting in SETTINGS.items():
        flag = "--" + name.replace("_", "-")
        assert flag in text
        if setting.type is not bool:
            (shown,) = re.findall(rf"{flag} <[a-z]+> .*?\[default: (.*?)\]", text)[:1]
            assert shown == (setting.usual or str(setting.default)), name


def test_a_new_run_never_replaces_an_old_one(invoke: Invoke, corpus: Corpus) -> None:
    runs = [
        json.loads(ran(invoke("train", corpus.directory, "--hidden", 4, "--epochs", 1, "--json")))
        for _ in "ab"
    ]
    assert [run["model"] for run in runs] == [
        f"models/runs/{corpus.name}-gru",
        f"models/runs/{corpus.name}-gru-2",
    ]
    evaluated = json.loads(ran(invoke("evaluate", "--json")))
    assert (evaluated["model"], evaluated["corpus"]) == (runs[1]["model"], str(corpus.directory))
    resumed = json.loads(ran(invoke("train", corpus.directory, "--resume", "--epochs", 2, "--json")))
    assert (resumed["model"], resumed["epochs"]) == (runs[1]["model"], 2)
    first = ("train", corpus.directory, "-o", runs[0]["model"], "--resume", "--epochs", 2, "--json")
    assert json.loads(ran(invoke(*first)))["epochs"] == 2
    newest = json.loads(ran(invoke("train", corpus.directory, "--resume", "--epochs", 3, "--json")))
    assert newest["model"] == runs[0]["model"], "the run trained last, numbered or not"


def test_evaluate_gives_every_piece(invoke: Invoke, corpus: Corpus, trained: Path) -> None:
    document = json.loads(ran(invoke("evaluate", trained, corpus.directory, "--per-piece", "--json")))
    pieces = document["per_piece"]
    total = sum(piece["nll_per_frame"] * piece["frames"] for piece in pieces)
    assert total / document["frames"] == pytest.approx(document["nll_per_frame"])
    text = ran(
        invoke("evaluate", trained, corpus.directory, "--split", "valid", "--skip-first-frame", "--per-piece")
    )
    assert "valid: 2 pieces" in text and "first frame left out" in text and text.count(".mid") == 2


@pytest.mark.parametrize(
    ("flags", "frames"),
    [
        (("--frames", 10), 10),
        (("--beats", 3), 12),
        (("--bars", 2), 24),
        (("--seconds", 4, "--tempo", 60), 16),
        ((), 192),
    ],
)
def test_lengths_follow_metre_and_tempo(
    invoke: Invoke, trained: Path, flags: tuple[object, ...], frames: int
) -> None:
    document = json.loads(ran(invoke("sample", trained, "--seed", 1, *flags, "--json")))
    assert (document["files"], document["frames"], document["seed"]) == (["sample.mid"], frames, 1)
    score = read_midi("sample.mid")
    assert score.quarters == frames / 4 and score.main_metre() == (3, 4)


def test_many_samples_are_numbered_and_reproducible_one_by_one(invoke: Invoke, trained: Path) -> None:
    text = ran(invoke("sample", trained, "-o", "x/out.mid", "--seed", 4, "--count", 3, "--frames", 20))
    assert text.split() == ["x/out-1.mid", "x/out-2.mid", "x/out-3.mid"]
    ran(invoke("sample", trained, "-o", "alone.mid", "--seed", 6, "--frames", 20))
    assert (
        Path("alone.mid").read_bytes() == Path("x/out-3.mid").read_bytes() != Path("x/out-1.mid").read_bytes()
    )


def test_render_makes_audio_of_the_right_length(invoke: Invoke, midi_folder: Path) -> None:
    import wave

    piece = midi_folder / "piece-00.mid"
    document = json.loads(ran(invoke("render", piece, "-o", "x.wav", "--sample-rate", 8000, "--json")))
    with wave.open("x.wav") as file:
        assert file.getframerate() == 8000
        assert file.getnframes() / 8000 == pytest.approx(document["seconds"], abs=0.01)
    assert document["seconds"] == pytest.approx(read_midi(piece).quarters * 60 / 90, abs=1.5)


def test_every_command_takes_json_quiet_and_verbose() -> None:
    from musicrnn.cli.app import app

    for command in app.registered_commands:
        assert command.callback is not None
        assert {"json", "quiet", "verbose"} <= set(inspect.signature(command.callback).parameters)
