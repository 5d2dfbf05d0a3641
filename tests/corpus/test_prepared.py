"""Published sets by name: those that are there, those that can't be had, and those that are MIDI files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from musicrnn.corpus import Collection, Corpus, open_corpus
from musicrnn.corpus.prepared import published_corpus
from musicrnn.errors import CorpusError


def test_what_is_there_is_taken(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/prepared").mkdir(parents=True)
    Path("data/prepared/jsb").symlink_to(corpus.directory)
    said: list[str] = []
    assert published_corpus("jsb", said.append) == Path("data/prepared/jsb") and not said


def test_what_is_not_there_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from musicrnn.corpus import collect

    rolls = {key: np.empty((1, 2), object) for key in ("traindata", "validdata", "testdata")}
    for cells in rolls.values():
        cells[0, 0], cells[0, 1] = np.eye(9, 88, 30, np.uint8), np.eye(7, 88, 40, np.uint8)
    scipy.io.savemat(tmp_path / "x.mat", rolls)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musicrnn.corpus.prepared.collect", lambda names: collect(["x.mat"], resolution=1))
    said: list[str] = []
    assert open_corpus(published_corpus("jsb", said.append)).frames == 48
    assert said == ["preparing jsb in data/prepared/jsb"]


def test_what_can_be_prepared_in_many_ways_is_not_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("musicrnn.corpus.prepared.collect", lambda names: Collection(names[0], (), 0, ""))
    with pytest.raises(CorpusError, match="`musicrnn prepare maestro` makes it"):
        published_corpus("maestro")
    assert not Path("data").exists()
