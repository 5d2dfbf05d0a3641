"""The commands as real processes: the tour, stdout and stderr, exit codes, same seed same bytes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest

from musicrnn import read_midi, to_pianoroll

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
ROOT = Path(__file__).parents[2]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_tour_without_arguments(musicrnn: Run, tmp_path: Path) -> None:
    """`musicrnn prepare && musicrnn train && musicrnn evaluate && musicrnn sample`, with a short training."""
    prepared = json.loads(musicrnn("prepare", "--json").stdout)
    assert prepared["pieces"] == 384 and prepared["skipped"] == 0
    assert (prepared["corpus"], sum(prepared["splits"].values())) == ("data/prepared/chorales", 384)
    trained = musicrnn("train", "--epochs", 1, "--hidden", 8, "--batch-size", 64, "--json")
    assert trained.returncode == 0, trained.stderr
    document = json.loads(trained.stdout)
    assert set(document) >= {
        "model", "cell", "hidden", "parameters", "epochs", "best_epoch", "train_nll", "valid_nll", "test_nll",
        "seconds", "frames_per_second",
    }  # fmt: skip
    assert document["model"] == "models/runs/chorales-gru"
    evaluated = musicrnn("evaluate", "--json")
    found = json.loads(evaluated.stdout)
    assert set(found) >= {
        "model", "corpus", "split", "pieces", "frames", "nll_per_frame", "nll_per_note", "accuracy",
        "precision", "recall", "f1", "baseline_nll", "seconds",
    }  # fmt: skip
    assert found["nll_per_frame"] == pytest.approx(document["test_nll"], rel=1e-6)
    assert b"model: models/runs/chorales-gru" in evaluated.stderr
    sampled = musicrnn("sample", "-o", "out.mid", "--json", "--seed", 3)
    assert json.loads(sampled.stdout)["files"] == ["out.mid"]
    assert set(json.loads(sampled.stdout)) == {"files", "frames", "seed", "seconds"}
    assert (
        len(to_pianoroll(read_midi(tmp_path / "out.mid"))) == json.loads(sampled.stdout)["frames"] == 16 * 16
    )


def test_the_shipped_model_samples_without_set_up_and_reproducibly(musicrnn: Run, tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        done = musicrnn("sample", "-o", name, "--seed", 1, "--bars", 8)
        assert done.returncode == 0 and done.stdout == f"{name}\n".encode(), done.stderr
        assert b"shipped with musicrnn" in done.stderr
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    piped = musicrnn("sample", "-o", "-", "--seed", 1, "--bars", 8, "--quiet")
    assert piped.stdout == (tmp_path / "a.mid").read_bytes() and piped.stderr == b""
    roll = to_pianoroll(read_midi(tmp_path / "a.mid"))
    assert len(roll) == 128 and roll.sounding.any(1).mean() > 0.8
    notes = [message for message in mido.MidiFile(tmp_path / "a.mid") if message.type == "note_on"]
    assert len(notes) == roll.onsets.sum() > 50


def test_messages_go_to_stderr_and_quiet_silences_them(musicrnn: Run, midi_folder: Path) -> None:
    assert musicrnn("prepare", midi_folder, "-o", "c").returncode == 0
    loud = musicrnn("train", "c", "-o", "r1", "--hidden", 4, "--epochs", 2)
    assert (
        loud.stdout.startswith(b"r1: gru 4,") and b"epoch   2" in loud.stderr and b"\x1b" not in loud.stderr
    )
    quiet = musicrnn("train", "c", "-o", "r2", "--hidden", 4, "--epochs", 2, "--quiet", "--json")
    assert quiet.stderr == b"" and json.loads(quiet.stdout)["epochs"] == 2


def test_names_are_read_from_stdin(musicrnn: Run, midi_folder: Path) -> None:
    names = "".join(f"{path}\n" for path in sorted(midi_folder.glob("*.mid"))[:5])
    assert (
        json.loads(musicrnn("prepare", "-", "-o", "c", "--json", input=names.encode()).stdout)["pieces"] == 5
    )


def test_a_primer_comes_through_a_pipe(
    musicrnn: Run, midi_folder: Path, trained: Path, tmp_path: Path
) -> None:
    primer = (midi_folder / "piece-00.mid").read_bytes()
    length = len(to_pianoroll(read_midi(primer), 4, (60, 71)))
    run = ("sample", trained, "--primer", "-", "--frames", 20, "--seed", 1, "-o")
    assert musicrnn(*run, "new.mid", input=primer).returncode == 0
    assert musicrnn(*run, "both.mid", "--include-primer", input=primer).returncode == 0
    new, both = (to_pianoroll(read_midi(tmp_path / name), 4, (60, 71)) for name in ("new.mid", "both.mid"))
    assert (len(new), len(both)) == (20, length + 20)
    np.testing.assert_array_equal(both.sounding[length:], new.sounding)
    assert read_midi(tmp_path / "new.mid").main_tempo() == pytest.approx(90, abs=0.01)


def test_a_closed_pipe_prints_no_traceback(midi_folder: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m musicrnn show {midi_folder / 'piece-00.mid'} | true"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, env=_environment())
    assert done.returncode == 0 and b"Traceback" not in done.stderr


def test_help_and_version_answer_fast_and_plainly(musicrnn: Run) -> None:
    assert musicrnn("--version").stdout == b"0.1.0\n"
    text = musicrnn("--help").stdout.decode()
    for command in (
        "prepare",
        "train",
        "evaluate",
        "sample",
        "show",
        "render",
        "sweep",
        "reproduce",
        "datasets",
    ):
        assert f"  {command} " in text
    assert "musicrnn prepare && musicrnn train && musicrnn evaluate && musicrnn sample -o out.mid" in text


def test_sampled_midi_opens_in_other_programs(musicrnn: Run) -> None:
    import pretty_midi

    content = musicrnn("sample", "-o", "-", "--seed", 2, "--bars", 4, "--tempo", 72).stdout
    opened = pretty_midi.PrettyMIDI(io.BytesIO(content))
    assert opened.get_tempo_changes()[1] == pytest.approx([72], abs=0.01)
    assert sum(len(instrument.notes) for instrument in opened.instruments) > 20
    assert opened.get_end_time() == pytest.approx(16 * 60 / 72, rel=0.01)
