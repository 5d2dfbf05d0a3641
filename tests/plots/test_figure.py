"""Pictures have the same bytes each time, and are written whole or not at all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from musicrnn.errors import FileError
from musicrnn.plots.rolls import plot_rolls
from tests.plots.pictures import CHORD


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_same_music_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        plot_rolls([("piece", CHORD)], path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not re.search(rb"CreationDate|<dc:date>|Matplotlib v", paths[0].read_bytes())


@pytest.mark.parametrize(("name", "found"), [("rolls.gif", "'.gif'"), ("rolls", "'no suffix'")])
def test_names_the_formats_it_can_write(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(FileError, match=rf"{name}: expected .*\.png, \.svg, \.pdf, found {found}"):
        plot_rolls([("", CHORD)], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_suffixes_in_capitals_are_known(tmp_path: Path) -> None:
    plot_rolls([("", CHORD)], tmp_path / "ROLL.PNG")
    assert (tmp_path / "ROLL.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_failing_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "roll.svg"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("musicrnn.files.os.fsync", full)
    with pytest.raises(FileError, match="No space left"):
        plot_rolls([("", CHORD)], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_settings_of_others_are_left_alone(tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 33.0, "svg.hashsalt": "mine"}):
        plot_rolls([("", CHORD)], tmp_path / "roll.svg")
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["svg.hashsalt"]) == (33.0, "mine")


def test_plots_import_neither_torch_nor_matplotlib() -> None:
    program = (
        "import sys, musicrnn.plots.corpus, musicrnn.plots.curves, musicrnn.plots.likelihood\n"
        "import musicrnn.plots.study, musicrnn.plots.terminal\n"
        "print([name for name in ('torch', 'matplotlib', 'pretty_midi', 'symusic') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
