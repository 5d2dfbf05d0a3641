from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.convert import Converted, Part, fingerprint
from musicrnn.corpus.draft import Draft
from musicrnn.corpus.store import INDEX, pack_frames
from musicrnn.errors import CorpusError
from musicrnn.music import Layout, PianoRoll


def write(folder: Path, rolls: list[PianoRoll]) -> Corpus:
    with Draft(folder / "corpus", rolls[0].layout, {}) as draft:
        for index, roll in enumerate(rolls):
            part = Part(f"piece {index}", *fingerprint(roll), (pack_frames(roll.frames).tobytes(),))
            draft.add(Converted(part.name, "train", (part,)))
        draft.finish("name", (0, 0), 0, False)
    return open_corpus(folder / "corpus")


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
    assert (tmp_path / "corpus" / "frames.bin").stat().st_size == 1000 * 176 / 8


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
            "expected a corpus .* found a folder without corpus.json",
        ),
        (lambda folder: (folder / "corpus.json").write_text('{"format":'), "expected JSON, found damage"),
        (lambda folder: (folder / "corpus.json").write_text("[]"), "found other JSON"),
        (edit(lambda d: d.update(version=3)), "version 2, found 3: a newer musicrnn wrote it"),
        (
            edit(lambda d: d.update(version=1)),
            "version 2, found 1: an older musicrnn wrote it; make it again",
        ),
        (edit(lambda d: d.pop("index_crc32")), "found damage"),
        (edit(lambda d: d.update(frames=7)), "the index counts other frames"),
        (
            lambda folder: (folder / "index.npy").unlink(),
            "index.npy: expected the index of a corpus, found nothing",
        ),
        (
            lambda folder: (folder / "index.npy").write_bytes(b"x"),
            r"index.npy: expected checksum \d+, found other",
        ),
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
        open_corpus(folder).roll(0)


def test_corpus_json_lists_what_the_index_finds(corpus: Corpus) -> None:
    document = json.loads((corpus.directory / "corpus.json").read_text())
    assert [(piece["name"], piece["frames"]) for piece in document["pieces"]] == [
        (piece.name, piece.frames) for piece in corpus.pieces
    ]
    assert corpus.index.dtype == INDEX and len(document["pieces"][0]["sha256"]) == 64


def test_a_rewritten_description_is_accepted(corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(corpus.directory, folder)
    document = json.loads((folder / "corpus.json").read_text())
    for separators in ((",", ":"), (", ", ": ")):
        (folder / "corpus.json").write_text(json.dumps(document, separators=separators))
        assert list(open_corpus(folder).pieces) == list(corpus.pieces)
    document["pieces"].pop()
    (folder / "corpus.json").write_text(json.dumps(document))
    with pytest.raises(CorpusError, match=r"corpus.json: expected 12 pieces, found 11"):
        open_corpus(folder).pieces[0]
