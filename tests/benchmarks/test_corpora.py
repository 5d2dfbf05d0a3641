from __future__ import annotations

import json
from pathlib import Path

from benchmarks import corpora
from musicrnn.corpus import Corpus
from musicrnn.corpus.summary import count_duplicates


def test_a_corpus_of_copies_repeats_the_pieces(corpus: Corpus, tmp_path: Path) -> None:
    size = (corpus.directory / "frames.bin").stat().st_size
    many = corpora.write_copies(corpus, tmp_path / "many", 3.5 * size)
    assert many.frames == 4 * corpus.frames
    assert {split: len(many[split]) for split in many} == {split: 4 * len(corpus[split]) for split in corpus}
    assert len({piece.name for piece in many.pieces}) == len(many.pieces)
    for split in corpus:
        assert list(many[split]) == 4 * list(corpus[split])
    count = len(corpus.pieces)
    for row, piece in enumerate(many.pieces):
        first = corpus.pieces[row % count]
        assert (piece.split, piece.frames, piece.crc32) == (first.split, first.frames, first.crc32)
        assert piece.offset == first.offset + row // count * corpus.frames
    document = json.loads((tmp_path / "many" / "corpus.json").read_text())
    assert [entry["name"] for entry in document["pieces"]] == [piece.name for piece in many.pieces]
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == [
        "corpus.json",
        "frames.bin",
        "index.npy",
    ]


def test_copies_are_duplicates_of_the_first(corpus: Corpus, tmp_path: Path) -> None:
    size = (corpus.directory / "frames.bin").stat().st_size
    many = corpora.write_copies(corpus, tmp_path / "many", 2 * size)
    assert count_duplicates(many).pieces == len(corpus.pieces) + count_duplicates(corpus).pieces
