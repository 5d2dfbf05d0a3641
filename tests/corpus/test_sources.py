"""Pieces are found wherever they lie, in a fixed order, with the splits that their places give them."""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from musicrnn.corpus.convert import Converted, Preparation, convert
from musicrnn.corpus.registry import Dataset
from musicrnn.corpus.sources import Collection, collect, split_of, takes_name
from musicrnn.errors import CorpusError
from tests.conftest import PREPARATION, make_midi

BOOK = b"X:1\nT:One\nM:3/4\nL:1/4\nK:C\nCDE|\nX:2\nT:Two\nM:4/4\nL:1/4\nK:G\nGABA|\n"
SUFFIXES = [".zip", ".tar", ".tar.gz", ".tar.bz2"]


@pytest.fixture
def piece(midi_folder: Path) -> bytes:
    """The bytes of a small MIDI file."""
    return (midi_folder / "piece-00.mid").read_bytes()


@pytest.fixture
def files(tmp_path: Path, piece: bytes) -> Callable[..., Path]:
    """Write the same piece under these names below a folder."""

    def write(folder: str, *names: str) -> Path:
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(piece)
        return tmp_path / folder

    return write


def packed(folder: Path, path: Path) -> Path:
    """An archive of what is in a folder, of the kind that its name says, in no helpful order."""
    members = sorted((file for file in folder.rglob("*") if file.is_file()), reverse=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in members:
                archive.write(member, member.relative_to(folder).as_posix())
        return path
    with tarfile.open(path, {".tar": "w", ".gz": "w:gz", ".bz2": "w:bz2"}[path.suffix]) as archive:
        for member in members:
            archive.add(member, member.relative_to(folder).as_posix())
    return path


def names(*arguments: object, lines: tuple[str, ...] = ()) -> list[str]:
    return [source.name for source in collect([str(argument) for argument in arguments], lines)]


def splits(*arguments: object) -> dict[str, str | None]:
    return {source.name: source.split for source in collect([str(argument) for argument in arguments])}


def converted(collection: Collection, preparation: Preparation = PREPARATION) -> dict[str, Converted]:
    return {source.name: convert(source, preparation) for source in collection}


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        *[(f"x{suffix}", True) for suffix in (".mid", ".MID", ".midi", ".kar", ".smf", ".rmi")],
        *[(f"x{suffix}", True) for suffix in (".abc", ".musicxml", ".Xml", ".mxl")],
        *[(name, False) for name in ("x.txt", "mid", "x.mid.bak", "x.mp3", "x.csv")],
    ],
)
def test_music_is_known_by_its_name(name: str, taken: bool) -> None:
    assert takes_name(name) is taken


def test_a_folder_is_walked_in_order(files: Callable[..., Path]) -> None:
    folder = files("songs", "b.mid", "B.MID", "a/z.midi", "a/b/c.kar", "a-b/1.mid", "notes.txt")
    collection = collect([str(folder)])
    assert [source.name for source in collection] == ["B.MID", "a/b/c.kar", "a/z.midi", "a-b/1.mid", "b.mid"]
    assert [source.path for source in collection] == [f"{folder}/{source.name}" for source in collection]
    assert (collection.name, collection.count, collection.layout) == ("songs", 5, None)


def test_a_single_file_of_any_name_is_a_collection(files: Callable[..., Path]) -> None:
    folder = files("songs", "a.mid", "tune")
    assert names(folder / "a.mid") == ["a.mid"]
    assert names(folder / "tune") == ["tune"]
    assert collect([str(folder / "a.mid")]).name == "a"


def test_files_of_several_folders_are_named_from_where_they_meet(files: Callable[..., Path]) -> None:
    folder = files("songs", "a/1.mid", "b/1.mid", "b/c/2.mid")
    assert names(folder / "*" / "1.mid") == ["a/1.mid", "b/1.mid"]
    assert names(folder / "**" / "*.mid") == ["a/1.mid", "b/1.mid", "b/c/2.mid"]


def test_relative_names_stay_relative(files: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files("songs", "1.mid", "a/2.mid"))
    assert [(source.name, source.path) for source in collect(["."])] == [("1.mid",) * 2, ("a/2.mid",) * 2]
    assert [(source.name, source.path) for source in collect(["1.mid"])] == [("1.mid", "1.mid")]
    assert names("-", lines=("1.mid\n", str(Path.cwd() / "a" / "2.mid"))) == ["1.mid", "a/2.mid"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_files_give_the_same_rolls_packed_or_not(
    midi_folder: Path, tmp_path: Path, suffix: str
) -> None:
    archive = collect([str(packed(midi_folder, tmp_path / f"songs{suffix}"))])
    loose, found = converted(collect([str(midi_folder)])), converted(archive)
    assert (archive.name, archive.count) == ("songs", None)
    assert found == loose
    if suffix == ".zip":
        assert list(found) == list(loose)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_archives_hold_folders_that_give_splits(
    files: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    folder = files("songs", "TRAIN/1.mid", "a/validation/2.MID", "x/test/b/3.kar", "tests/4.mid", "train.mid")
    expected = {
        "TRAIN/1.mid": "train",
        "a/validation/2.MID": "valid",
        "x/test/b/3.kar": "test",
        "tests/4.mid": None,
        "train.mid": None,
    }
    assert splits(folder) == expected
    assert splits(packed(folder, tmp_path / f"songs{suffix}")) == expected


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("training/a.mid", "train"),
        ("Val/a.mid", "valid"),
        ("dev/a.mid", "valid"),
        ("valid/train/a.mid", "valid"),
        ("a/Test/b/a.mid", "test"),
        ("test.mid", None),
        ("trainer/a.mid", None),
    ],
)
def test_folders_name_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


MAESTRO = (
    "canonical_composer,split,year,midi_filename\n"
    'Bach,train,2004,2004/1.midi\n"Alban, Berg",validation,2006,2006/2.midi\nHaydn,test,2004,2004/3.midi\n'
    "Mozart,unheard of,2004,2004/4.midi\nNobody,train,2004,\n"
)
SPLITS = {"2004/1.midi": "train", "2004/3.midi": "test", "2004/4.midi": None, "2006/2.midi": "valid"}


def test_a_table_gives_splits(files: Callable[..., Path], tmp_path: Path) -> None:
    folder = files("maestro", *SPLITS)
    (folder / "maestro.csv").write_text(MAESTRO)
    (folder / "other.csv").write_text("name,size\n2004/1.midi,12\n")
    assert splits(folder) == SPLITS
    assert splits(packed(folder, tmp_path / "maestro.zip")) == SPLITS
    inside = {f"maestro/{name}": split for name, split in SPLITS.items()}
    assert splits(folder, files("more", "1.mid")) == {**inside, "more/1.mid": None}


def test_a_table_with_other_line_breaks_or_none_that_csv_knows_does_no_harm(
    files: Callable[..., Path],
) -> None:
    folder = files("in", "a.mid", "b.mid")
    (folder / "old.csv").write_bytes(b"midi_filename,split\ra.mid,test\r")
    (folder / "odd.csv").write_bytes(b"midi_filename,split\n" + b"x" * 200_000 + b",test\n")
    assert splits(folder) == {"a.mid": "test", "b.mid": None}


def test_a_table_in_a_folder_of_an_archive_speaks_of_that_folder(
    files: Callable[..., Path], tmp_path: Path
) -> None:
    folder = files("whole", *[f"maestro-v3/{name}" for name in SPLITS], "2004/1.midi")
    (folder / "maestro-v3" / "maestro.csv").write_text(MAESTRO)
    expected = {f"maestro-v3/{name}": split for name, split in SPLITS.items()}
    assert splits(packed(folder, tmp_path / "maestro.zip")) == {**expected, "2004/1.midi": None}


def test_sources_mix(files: Callable[..., Path], tmp_path: Path) -> None:
    one, two = files("one", "1.mid"), files("two", "1.mid")
    archive = packed(one, tmp_path / "three.tar.gz")
    assert names(one, two) == ["one/1.mid", "two/1.mid"]
    assert names(one, archive, two / "1.mid") == ["one/1.mid", "three/1.mid", "1.mid"]
    assert names("-", lines=(f"{archive}\n", "\n", f"{two}\r\n")) == ["three/1.mid", "two/1.mid"]
    assert names(str(tmp_path / "t*")) == ["three/1.mid", "two/1.mid"]
    collection = collect([str(one), str(two)])
    assert (collection.name, collection.count) == ("corpus", 2)
    assert list(converted(collection)) == ["one/1.mid", "two/1.mid"]
    assert collect([str(one), str(archive)]).count is None


def test_names_come_from_stdin(midi_folder: Path) -> None:
    paths = sorted(map(str, midi_folder.glob("*.mid")))
    sources = collect(["-"], [f"{path}\n" for path in paths[:2]] + ["\n", f"{midi_folder}/gone.mid"])
    assert [source.path for source in sources] == [*paths[:2], f"{midi_folder}/gone.mid"]
    assert [piece.reason for piece in converted(sources).values()] == [None, None, "unreadable"]
    with pytest.raises(CorpusError, match="expected names of files on stdin, found none"):
        collect(["-"], ["\n"])


def test_globs_are_sorted(midi_folder: Path) -> None:
    assert names(midi_folder / "*-1?.mid") == ["piece-10.mid", "piece-11.mid"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "nowhere: expected a file, a folder, a glob, or one of chorales, jsb, .* nothing there"),
        ("*.mid", r"\*\.mid: expected a file, a folder, a glob, .* nothing there"),
        ("empty", r"empty: expected music \(\.abc, .*\.smf, \.xml\) in the folder or below it, found none"),
    ],
)
def test_sources_without_music_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=message):
        collect([str(tmp_path / name)])


def test_a_book_of_tunes_is_a_piece_for_every_tune(tmp_path: Path) -> None:
    (tmp_path / "in" / "test").mkdir(parents=True)
    (tmp_path / "in" / "test" / "book.abc").write_bytes(BOOK)
    expected = {"test/book.abc#1": "test", "test/book.abc#2": "test"}
    assert splits(tmp_path / "in") == expected
    assert splits(packed(tmp_path / "in", tmp_path / "in.zip")) == expected
    assert collect([str(tmp_path / "in")]).count is None


def test_tunes_become_rolls(tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="pip install music21")
    (tmp_path / "book.abc").write_bytes(BOOK)
    found = converted(collect([str(tmp_path / "book.abc")]))
    assert {name: (len(piece.parts), piece.facts, piece.metre) for name, piece in found.items()} == {
        "book.abc#1": (1, {"reader": "music21"}, (3, 4)),
        "book.abc#2": (1, {"reader": "music21"}, (4, 4)),
    }


def test_every_tune_says_that_music21_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music21", None)
    (tmp_path / "book.abc").write_bytes(BOOK)
    (tmp_path / "piece.mxl").write_bytes(b"")
    found = converted(collect([str(tmp_path)]))
    assert [piece.reason for piece in found.values()] == ["needs-music21"] * 3
    assert "pip install music21" in found["book.abc#2"].detail


def test_what_an_archive_refuses_has_its_reason(files: Callable[..., Path], tmp_path: Path) -> None:
    path = packed(files("songs", *[f"{number:02}.mid" for number in range(30)]), tmp_path / "songs.tar")
    path.write_bytes(path.read_bytes()[:20_000])
    *good, last = converted(collect([str(path)])).values()
    assert {piece.reason for piece in good} == {None}
    assert (last.name, last.reason) == ("songs.tar", "damaged-archive")
    assert last.detail.startswith(f"{path}: expected a readable archive, found damage")


@pytest.mark.parametrize("change", ["content", "time", "name", "more", "gone"])
@pytest.mark.parametrize("kind", ["folder", "names"])
def test_the_identity_changes_with_the_files(files: Callable[..., Path], kind: str, change: str) -> None:
    folder = files("songs", "1.mid", "2.mid")

    def identity() -> str:
        arguments = [str(folder)] if kind == "folder" else ["-"]
        return collect(arguments, sorted(map(str, folder.iterdir()))).identity

    before = identity()
    assert identity() == before
    path = folder / "2.mid"
    if change == "content":
        status = path.stat()
        path.write_bytes(path.read_bytes() + b"more")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(path, (1, 1))
    elif change == "name":
        path.rename(folder / "3.mid")
    elif change == "more":
        files("songs", "3.mid")
    else:
        path.unlink()
    assert identity() != before


def test_the_identity_changes_with_the_archive(midi_folder: Path, tmp_path: Path) -> None:
    path = packed(midi_folder, tmp_path / "songs.zip")
    before = collect([str(path)]).identity
    assert collect([str(path)]).identity == before
    os.utime(path, (1, 1))
    assert collect([str(path)]).identity != before
    path.rename(tmp_path / "other.zip")
    assert collect([str(tmp_path / "other.zip")]).identity not in (
        before,
        collect([str(midi_folder)]).identity,
    )


def test_no_argument_means_the_bundled_chorales() -> None:
    assert collect([]).identity == collect(["chorales"]).identity
    assert (collect([]).name, collect([]).count) == ("chorales", 384)


def test_data_sets_are_brought_and_named(tmp_path: Path) -> None:
    performances = packed(make_midi(tmp_path / "in", 2), tmp_path / "file.zip")
    asked: list[str] = []

    def get(dataset: Dataset) -> Path:
        asked.append(dataset.name)
        return performances

    collection = collect(["maestro"], get=get)
    assert asked == ["maestro"]
    assert (collection.name, len(list(collection))) == ("maestro", 2)
    assert collection.frame_seconds is not None
    assert collect([str(performances)]).frame_seconds is None


def test_a_collection_may_be_walked_again(midi_folder: Path, tmp_path: Path) -> None:
    for collection in (
        collect([str(midi_folder)]),
        collect([str(packed(midi_folder, tmp_path / "songs.tar.gz"))]),
    ):
        assert list(collection) == list(collection)
