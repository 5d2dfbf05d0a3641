from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.corpus import Corpus, Piece, open_corpus
from musicrnn.corpus.store import CorpusWriter, pack
from musicrnn.errors import CorpusError
from musicrnn.music import Layout, PianoRoll


def write(folder: Path, rolls: list[PianoRoll]) -> Corpus:
    pieces = []
    with CorpusWriter(folder, rolls[0].layout) as writer:
        for index, roll in enumerate(rolls):
            offset, crc32 = writer.add(pack(roll))
            pieces.append(Piece(f"piece {index}", "train", len(roll), offset, crc32))
        writer.finish("name", pieces)
    return open_corpus(folder)


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    width=st.integers(1, 128),
    channels=st.sampled_from(["frame", "frame+onset"]),
)
@settings(max_examples=30, deadline=None)
def test_rolls_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, seed: int, lengths: list[int], width: int, channels: str
) -> None:
    layout = Layout(low=0, high=width - 1, channels=channels)
    rng = np.random.default_rng(seed)
    rolls = [PianoRoll(rng.integers(0, 2, (length, layout.width), np.uint8), layout) for length in lengths]
    corpus = write(tmp_path_factory.mktemp("corpus"), rolls)
    assert list(corpus["train"]) == rolls
    assert corpus["train"].frames == sum(lengths)


def test_a_corpus_takes_one_bit_per_cell(tmp_path: Path) -> None:
    layout = Layout()
    write(tmp_path, [PianoRoll(np.zeros((1000, layout.width), np.uint8), layout)])
    assert (tmp_path / "frames.bin").stat().st_size == 1000 * 176 / 8


def test_facts_are_what_models_remember(corpus: Corpus) -> None:
    facts = corpus.facts()
    assert facts["width"] == 24 and facts["pitches"] == [60, 71] and facts["resolution"] == 4
    assert (facts["tempo"], facts["metre"]) == (90, [3, 4])


def test_a_missing_split_is_named(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="expected a split 'dev' with pieces, found train, valid, test"):
        corpus["dev"]


def edit(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        document = json.loads((folder / "corpus.json").read_text())
        change(document)
        (folder / "corpus.json").write_text(json.dumps(document))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "expected a corpus .* found nothing"),
        (
            lambda folder: (folder / "corpus.json").unlink(),
            "expected a corpus .* found another kind of folder",
        ),
        (lambda folder: (folder / "corpus.json").write_text('{"format":'), "expected JSON, found damage"),
        (lambda folder: (folder / "corpus.json").write_text("[]"), "found other JSON"),
        (edit(lambda d: d.update(version=2)), "expected musicrnn-corpus version 1, found 2"),
        (edit(lambda d: d["pieces"][0].pop("crc32")), "found damage"),
        (edit(lambda d: d["pieces"][0].update(split="dev")), "found damage"),
        (edit(lambda d: d.update(channels="onset")), "found damage"),
        (lambda folder: (folder / "frames.bin").unlink(), r"frames.bin: expected \d+ bytes, found 0"),
        (
            lambda folder: (folder / "frames.bin").write_bytes(b"\0"),
            r"frames.bin: expected \d+ bytes, found 1",
        ),
    ],
)
def test_damage_is_found_on_opening(
    corpus: Corpus, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(corpus.directory, folder)
    damage(folder)
    with pytest.raises(CorpusError, match=message):
        open_corpus(folder)


def test_a_flipped_bit_is_found_on_reading(corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(corpus.directory, folder)
    content = bytearray((folder / "frames.bin").read_bytes())
    content[0] ^= 1
    (folder / "frames.bin").write_bytes(content)
    with pytest.raises(CorpusError, match=r"frames.bin: expected checksum \d+ for piece-00.mid"):
        open_corpus(folder).read(corpus.pieces[0])
