"""A source reads its file within bounds, and a book of tunes becomes a source for every tune."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from musicrnn.corpus.sources import Source
from musicrnn.errors import FileError, MidiError
from musicrnn.music.midi import reading
from musicrnn.music.notation import suffix_of

BOOK = b"% a book\n\nX:1\nT:One\nK:C\nCDE|\n\nX: 2\r\nT:Two X:3\r\nK:G\r\nGAB|\r\n"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a/b.MID", ".mid"), ("b.abc#12", ".abc"), ("v1.2/b.musicxml", ".musicxml"), ("b#1.abc", ".abc")],
)
def test_the_suffix_is_that_of_the_file(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


def test_content_that_is_there_is_not_read_again() -> None:
    assert Source("a.mid", "nowhere/a.mid", content=b"").read() == b""


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"MThd")
    assert Source("other name.mid", str(tmp_path / "a.mid")).read() == b"MThd"
    with pytest.raises(FileError, match=r"gone\.mid: can't read: No such file") as caught:
        Source("gone.mid", str(tmp_path / "gone.mid")).read()
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("suffix", [".mid", ".abc"])
def test_a_file_too_large_is_not_read_to_its_end(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 1000)
    path = tmp_path / f"large{suffix}"
    path.write_bytes(bytes(1000))
    source = Source(path.name, str(path))
    assert len(source.read()) == 1000
    path.write_bytes(bytes(2**20))
    tracemalloc.start()
    try:
        with pytest.raises(MidiError, match="expected at most 1000 bytes, found more") as caught:
            source.read()
        list(source.tunes())
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too-large"


def test_a_book_becomes_its_tunes() -> None:
    tunes = list(Source("book.abc", "folder/book.abc", "test", BOOK).tunes())
    assert [tune.content for tune in tunes] == [
        b"X:1\nT:One\nK:C\nCDE|\n\n",
        b"X: 2\r\nT:Two X:3\r\nK:G\r\nGAB|\r\n",
    ]
    assert [(tune.name, tune.path, tune.split, suffix_of(tune.name)) for tune in tunes] == [
        ("book.abc#1", "folder/book.abc#1", "test", ".abc"),
        ("book.abc#2", "folder/book.abc#2", "test", ".abc"),
    ]


def test_one_tune_keeps_its_name() -> None:
    (tune,) = Source("tune.abc", "tune.abc", content=b"X:1\nK:C\nCDE|\n").tunes()
    assert (tune.name, tune.path, tune.content) == ("tune.abc", "tune.abc", b"X:1\nK:C\nCDE|\n")


def test_what_is_no_tune_is_left_as_it_is() -> None:
    (tune,) = Source("tune.abc", "tune.abc", content=b"K:C\nCDE|\n").tunes()
    assert (tune.name, tune.content) == ("tune.abc", b"K:C\nCDE|\n")


def test_fields_before_the_first_tune_are_defaults_for_all() -> None:
    book = b"Tunes of the north\nM:3/4\nL:1/8\n\nX:1\nL:1/4\nK:C\nCDE|\nX:2\nK:G\nGAB|\n"
    assert [tune.content for tune in Source("book.abc", "book.abc", content=book).tunes()] == [
        b"X:1\nM:3/4\nL:1/4\nK:C\nCDE|\n",
        b"X:2\nM:3/4\nL:1/8\nK:G\nGAB|\n",
    ]


def test_a_book_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "gone.abc"
    (source,) = Source("gone.abc", str(path)).tunes()
    assert source.refusal == (f"{path}: can't read: No such file or directory", "unreadable")


@pytest.mark.parametrize(
    "source", [Source("gone.mid", "gone.mid"), Source("a.abc", "x.zip:a.abc", refusal=("why", "encrypted"))]
)
def test_other_sources_are_themselves(source: Source) -> None:
    assert list(source.tunes()) == [source]
