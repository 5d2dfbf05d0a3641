from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from musicrnn.corpus import Corpus, build, build_corpus, collect
from musicrnn.corpus.build import assign_splits
from musicrnn.errors import CorpusError
from musicrnn.music import Layout, read_midi, to_pianoroll
from tests.conftest import LAYOUT, make_midi


def test_a_folder_becomes_the_rolls_of_its_files(corpus: Corpus, midi_folder: Path) -> None:
    assert len(corpus.pieces) == 12
    for piece in corpus.pieces:
        assert corpus.read(piece) == to_pianoroll(read_midi(midi_folder / piece.name), 4, (60, 71))


def test_every_piece_has_its_line_of_report(tmp_path: Path) -> None:
    source = make_midi(tmp_path / "in", 3)
    whole = (source / "piece-00.mid").read_bytes()
    (source / "a text.mid").write_text("hello")
    (source / "empty.mid").touch()
    (source / "half.mid").write_bytes(whole[: len(whole) // 2])
    (source / "ignored.txt").write_text("no music")
    done = build_corpus(collect([str(source)]), LAYOUT, tmp_path / "out")
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


def test_the_bytes_do_not_depend_on_workers(
    midi_folder: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SERIAL", 1)
    build_corpus(collect([str(midi_folder)]), LAYOUT, tmp_path / "x", shares=(0.2, 0.2), workers=2)
    for name in ("frames.bin", "report.jsonl"):
        assert (tmp_path / "x" / name).read_bytes() == (corpus.directory / name).read_bytes()
    ours, theirs = (
        json.loads((folder / "corpus.json").read_text()) for folder in (tmp_path / "x", corpus.directory)
    )
    assert ours == theirs


def test_folders_named_after_splits_are_splits(tmp_path: Path) -> None:
    for index, name in enumerate(("train", "validation", "TEST")):
        make_midi(tmp_path / "in" / name, index + 1)
    corpus = build_corpus(collect([str(tmp_path / "in")]), LAYOUT, tmp_path / "out").corpus
    assert {name: len(split) for name, split in corpus.items()} == {"train": 1, "valid": 2, "test": 3}


def test_several_folders_keep_their_names_apart(tmp_path: Path) -> None:
    folders = [str(make_midi(tmp_path / name, 1)) for name in ("a", "b")]
    assert [piece.name for piece in collect(folders).pieces] == ["a/piece-00.mid", "b/piece-00.mid"]


@given(st.integers(1, 60), st.integers(0, 5))
def test_random_splits_cover_all_pieces_and_leave_some_to_train_on(count: int, seed: int) -> None:
    splits = assign_splits([None] * count, (0.1, 0.1), seed)
    assert splits == assign_splits([None] * count, (0.1, 0.1), seed)
    assert set(splits) <= {"train", "valid", "test"} and "train" in splits
    if count >= 3:
        assert {split: splits.count(split) for split in ("valid", "test")} == dict.fromkeys(
            ("valid", "test"), max(1, round(count / 10))
        )


def test_validation_is_taken_from_training_where_the_source_has_none() -> None:
    splits = assign_splits(["train"] * 9 + ["test"], (0.1, 0.1), 0)
    assert splits.count("train") == 8 and splits.count("valid") == 1 and splits[9] == "test"


def mat(path: Path, **splits: object) -> Path:
    scipy.io.savemat(path, splits)
    return path


def cells(*rolls: np.ndarray) -> np.ndarray:
    array = np.empty((1, len(rolls)), object)
    array[0, :] = rolls
    return array


def test_a_published_mat_file_keeps_its_splits_and_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rolls = {
        split: [rng.integers(0, 2, (5 + i, 88), np.uint8) for i in range(2)]
        for split in ("train", "valid", "test")
    }
    path = mat(tmp_path / "x.mat", **{f"{split}data": cells(*rolls[split]) for split in rolls})
    collection = collect([str(path)], resolution=2)
    assert collection.layout == Layout(resolution=2, channels="frame")
    corpus = build_corpus(collection, collection.layout, tmp_path / "out").corpus
    for split, expected in rolls.items():
        for found, roll in zip(corpus[split], expected, strict=True):
            np.testing.assert_array_equal(found.frames, roll)


def test_mat_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mat").write_text("hello")
    with pytest.raises(CorpusError, match=r"text.mat: expected a .mat file of piano rolls, found damage"):
        collect([str(tmp_path / "text.mat")])
    with pytest.raises(CorpusError, match="traindata is missing"):
        collect([str(mat(tmp_path / "other.mat", x=np.zeros(3)))])
    narrow = {f"{split}data": cells(np.zeros((3, 80), np.uint8)) for split in ("train", "valid", "test")}
    with pytest.raises(CorpusError, match=r"traindata 0: a roll must have shape \(T, 88\)"):
        collect([str(mat(tmp_path / "narrow.mat", **narrow))])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere",
            "nowhere: expected a file, a folder, a glob, or one of chorales, jsb, .* found nothing there",
        ),
        ("empty", "empty: expected MIDI files .* found none"),
    ],
)
def test_sources_without_music_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=message):
        collect([str(tmp_path / name)])


def test_names_come_from_stdin_and_globs(midi_folder: Path) -> None:
    files = sorted(midi_folder.glob("*.mid"))
    assert [
        piece.path for piece in collect(["-"], [f"{file}\n" for file in files[:2]] + ["\n"]).pieces
    ] == files[:2]
    assert [piece.path for piece in collect([str(midi_folder / "*-1?.mid")]).pieces] == files[10:]
    with pytest.raises(CorpusError, match="expected names of files on stdin, found none"):
        collect(["-"], [])


def test_other_files_are_never_replaced_by_a_corpus(midi_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(
        CorpusError, match="expected a corpus or an empty folder to write to, found other files"
    ):
        build_corpus(collect([str(midi_folder)]), LAYOUT, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_nothing_is_left_behind_where_no_piece_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mid").touch()
    with pytest.raises(CorpusError, match=r"a.mid: expected a MIDI file, found an empty file"):
        build_corpus(collect([str(tmp_path / "in")]), LAYOUT, tmp_path / "out")
    assert not (tmp_path / "out").exists() and len(list(tmp_path.iterdir())) == 1
