from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from musicrnn.corpus import Corpus, Preparation, build, build_corpus, collect, open_corpus
from musicrnn.corpus.build import published_corpus
from musicrnn.corpus.convert import Converted, convert
from musicrnn.corpus.sources import Collection, Source
from musicrnn.corpus.summary import count_duplicates
from musicrnn.errors import CorpusError
from musicrnn.music import Layout, read_midi, to_pianoroll, write_midi
from tests.conftest import PREPARATION, make_midi
from tests.corpus.scores import transposed


def test_a_folder_becomes_the_rolls_of_its_files(corpus: Corpus, midi_folder: Path) -> None:
    assert len(corpus.pieces) == 12
    for row, piece in enumerate(corpus.pieces):
        assert corpus.roll(row) == to_pianoroll(read_midi(midi_folder / piece.name), 4, (60, 71))


def test_every_piece_has_its_line_of_report(tmp_path: Path) -> None:
    source = make_midi(tmp_path / "in", 3)
    whole = (source / "piece-00.mid").read_bytes()
    (source / "a text.mid").write_text("hello")
    (source / "empty.mid").touch()
    (source / "half.mid").write_bytes(whole[: len(whole) // 2])
    (source / "ignored.txt").write_text("no music")
    done = build_corpus(collect([str(source)]), PREPARATION, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "report.jsonl").read_text().splitlines()]
    reasons = {line["name"]: line.get("reason") for line in lines}
    assert reasons == {
        "a text.mid": "not-midi",
        "empty.mid": "empty",
        "half.mid": "truncated",
        "piece-00.mid": None,
        "piece-01.mid": None,
        "piece-02.mid": None,
    }
    assert [line["frames"] for line in lines if "frames" in line] == [
        piece.frames for piece in done.corpus.pieces
    ]
    assert done.skipped == 3


def test_the_bytes_do_not_depend_on_workers(midi_folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    build_corpus(collect([str(midi_folder)]), PREPARATION, tmp_path / "x", shares=(0.2, 0.2), workers=2)
    files = sorted(path.name for path in corpus.directory.iterdir())
    assert files == ["corpus.json", "frames.bin", "index.npy", "report.jsonl"]
    for name in files:
        assert (tmp_path / "x" / name).read_bytes() == (corpus.directory / name).read_bytes()


def test_folders_named_after_splits_are_splits(tmp_path: Path) -> None:
    for index, name in enumerate(("train", "validation", "TEST")):
        make_midi(tmp_path / "in" / name, index + 1)
    corpus = build_corpus(collect([str(tmp_path / "in")]), PREPARATION, tmp_path / "out").corpus
    assert {name: len(split) for name, split in corpus.items()} == {"train": 1, "valid": 2, "test": 3}


def test_other_files_are_never_replaced_by_a_corpus(midi_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(
        CorpusError, match="expected a corpus or an empty folder to write to, found other files"
    ):
        build_corpus(collect([str(midi_folder)]), PREPARATION, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_no_files_are_left_if_no_piece_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mid").touch()
    with pytest.raises(CorpusError, match=r"a.mid: expected a MIDI file, found an empty file"):
        build_corpus(collect([str(tmp_path / "in")]), PREPARATION, tmp_path / "out")
    assert not (tmp_path / "out").exists() and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="workers see what a test replaces only where they fork")
def test_a_crash_and_a_hang_cost_one_piece_each(
    midi_folder: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fates = {
        "piece-03.mid": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "piece-07.mid": lambda: time.sleep(60),
    }

    def fatal(source: Source, preparation: Preparation) -> Converted:
        fates.get(source.name, lambda: None)()
        return convert(source, preparation)

    def fatal_all(sources: list[Source], preparation: Preparation) -> list[Converted]:
        return [fatal(source, preparation) for source in sources]

    monkeypatch.setattr(build, "convert", fatal)
    monkeypatch.setattr(build, "convert_many", fatal_all)
    done = build_corpus(collect([str(midi_folder)]), PREPARATION, tmp_path / "c", workers=2, time_limit=1)
    assert done.reasons == {"crashed": 1, "time-limit": 1}
    rest = [piece.name for piece in corpus.pieces if piece.name not in fates]
    assert [piece.name for piece in done.corpus.pieces] == rest
    report = [json.loads(line) for line in (tmp_path / "c" / "report.jsonl").read_text().splitlines()]
    assert "signal 9" in report[3]["detail"] and "took longer than 1 s" in report[7]["detail"]


def test_duplicates_and_transposed_copies_stay_together(tmp_path: Path) -> None:
    folder = make_midi(tmp_path / "in", 12)
    for index in range(12):
        score = read_midi(folder / f"piece-{index:02d}.mid")
        write_midi(transposed(score, -1 if index % 2 else 0), folder / f"zcopy-{index:02d}.mid")
    layout = Preparation(Layout(resolution=4, low=48, high=83))
    corpus = build_corpus(collect([str(folder)]), layout, tmp_path / "out", shares=(0.2, 0.2)).corpus
    found = count_duplicates(corpus)
    assert (found.pieces, found.transposed, found.across_splits) == (12, 6, 0)
    split = {piece.name: piece.split for piece in corpus.pieces}
    assert all(split[f"piece-{index:02d}.mid"] == split[f"zcopy-{index:02d}.mid"] for index in range(12))
    lines = [json.loads(line) for line in (tmp_path / "out" / "report.jsonl").read_text().splitlines()]
    assert [line.get("duplicate_of") for line in lines[12:]] == [line["name"] for line in lines[:12]]
    loose = build_corpus(
        collect([str(folder)]), layout, tmp_path / "loose", shares=(0.2, 0.2), keep_duplicates=True
    ).corpus
    assert count_duplicates(loose).across_splits > 0


CLUSTER = """
import sys
from pathlib import Path
from distributed import LocalCluster
from musicrnn.corpus import build_corpus, collect
from tests.conftest import PREPARATION
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        folder, target = map(Path, sys.argv[1:])
        address = cluster.scheduler_address
        build_corpus(collect([str(folder)]), PREPARATION, target, shares=(0.2, 0.2), scheduler=address)
"""


def test_a_cluster_gives_the_same_bytes(midi_folder: Path, corpus: Corpus, tmp_path: Path) -> None:
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("needs the extra `scale`")
    root = Path(__file__).parents[2]
    (tmp_path / "cluster.py").write_text(CLUSTER)
    subprocess.run(
        [sys.executable, tmp_path / "cluster.py", midi_folder, tmp_path / "c"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=120,
    )
    for path in corpus.directory.iterdir():
        assert (tmp_path / "c" / path.name).read_bytes() == path.read_bytes(), path.name


def test_what_is_there_is_taken(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/prepared").mkdir(parents=True)
    Path("data/prepared/jsb").symlink_to(corpus.directory)
    said: list[str] = []
    assert published_corpus("jsb", said.append) == Path("data/prepared/jsb") and not said


def test_what_is_not_there_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rolls = {key: np.empty((1, 2), object) for key in ("traindata", "validdata", "testdata")}
    for cells in rolls.values():
        cells[0, 0], cells[0, 1] = np.eye(9, 88, 30, np.uint8), np.eye(7, 88, 40, np.uint8)
    scipy.io.savemat(tmp_path / "x.mat", rolls)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musicrnn.corpus.build.collect", lambda names: collect(["x.mat"], resolution=1))
    said: list[str] = []
    assert open_corpus(published_corpus("jsb", said.append)).frames == 48
    assert said == ["preparing jsb in data/prepared/jsb"]


def test_what_can_be_prepared_in_many_ways_is_not_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musicrnn.corpus.build.collect", lambda names: Collection(names[0], (), 0, ""))
    with pytest.raises(CorpusError, match="`musicrnn prepare maestro` makes it"):
        published_corpus("maestro")
    assert not Path("data").exists()
