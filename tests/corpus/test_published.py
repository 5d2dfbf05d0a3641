from __future__ import annotations

import hashlib
import json
import pickle
import struct
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.corpus import published
from musicrnn.corpus.published import SUFFIXES, Published, read_published
from musicrnn.errors import CorpusError, FileError, RollError
from musicrnn.music import Layout, PianoRoll

SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"
SPLITS = ("train", "valid", "test")
Rolls = dict[str, list[np.ndarray]]


def random_rolls() -> Rolls:
    rng = np.random.default_rng(0)
    return {
        split: [(rng.random((length, 88)) < 0.05).astype(np.uint8) for length in (1, 12, 30)]
        for split in SPLITS
    }


def frames_of(rolls: Rolls, kind: Callable[[list[int]], Any] = list) -> dict[str, list[list[Any]]]:
    """Write the frames of each roll as pitches."""
    return {
        split: [[kind([int(pitch) + 21 for pitch in np.flatnonzero(frame)]) for frame in roll] for roll in of]
        for split, of in rolls.items()
    }


def objects(items: Any, *shape: int) -> np.ndarray:
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array.reshape(shape) if shape else array


def voices(frame: list[int]) -> list[int]:
    """Write a frame as voices of which some rest."""
    return frame + [-1] * (88 - len(frame) - 1)


def write(path: Path, document: Any, protocol: int = 2) -> Path:
    if path.suffix == ".mat":
        scipy.io.savemat(path, document, do_compression=True)
    elif path.suffix == ".json":
        path.write_text(json.dumps(document))
    else:
        path.write_bytes(pickle.dumps(document, protocol))
    return path


def mat(rolls: Rolls) -> dict[str, np.ndarray]:
    return {f"{split}data": objects(of, 1, len(of)) for split, of in rolls.items()}


ROLLS = random_rolls()
FORMS = {
    "cells.mat": mat(ROLLS),
    "column.mat": {key: cells.T for key, cells in mat(ROLLS).items()},
    "float.mat": mat({split: [roll.astype(float) for roll in of] for split, of in ROLLS.items()}),
    "pitches.json": frames_of(ROLLS),
    "whole-floats.json": frames_of(ROLLS, lambda frame: [float(pitch) for pitch in frame]),
    "rests.json": frames_of(ROLLS, lambda frame: [-1, None, float("nan"), *frame, -1.0]),
    "unisons.json": frames_of(ROLLS, lambda frame: frame * 2),
    "binary.json": {split: [roll.tolist() for roll in of] for split, of in ROLLS.items()},
    "tuples.pickle": frames_of(ROLLS, tuple),
    "scalars.pickle": frames_of(ROLLS, lambda frame: tuple(np.array(frame, np.int64))),
    "arrays-of-pitches.pkl": frames_of(ROLLS, lambda frame: np.array(frame, np.uint8)),
    "rolls.pkl": {split: tuple(of) for split, of in ROLLS.items()},
    "booleans.pkl": {split: [roll.astype(bool) for roll in of] for split, of in ROLLS.items()},
    "cells.pickle": mat(ROLLS),
    "array-of-rolls.pickle": {split: objects(of) for split, of in ROLLS.items()},
    "arrays-of-lists.pickle": {
        split: objects([objects(frames) for frames in of]) for split, of in frames_of(ROLLS).items()
    },
    "voices.pickle": {
        split: [np.array(frames, float) for frames in of] for split, of in frames_of(ROLLS, voices).items()
    },
}


@pytest.mark.parametrize("name", FORMS)
def test_all_forms_of_the_same_pieces_give_the_same_rolls(name: str, tmp_path: Path) -> None:
    found = read_published(write(tmp_path / name, FORMS[name]), 3)
    layout = Layout(3, channels="frame")
    assert found.name == Path(name).stem and found.layout == layout
    assert found.pieces == [
        (f"{split}/{index:04d}", split, PianoRoll(roll, layout))
        for split in SPLITS
        for index, roll in enumerate(ROLLS[split])
    ]


def test_every_suffix_is_tried_and_may_be_in_capitals(tmp_path: Path) -> None:
    assert {Path(name).suffix for name in FORMS} == SUFFIXES
    path = write(tmp_path / "x.json", frames_of(ROLLS))
    assert read_published(path.rename(tmp_path / "X.JSON")).pieces


def test_pieces_of_one_length_may_be_one_array(tmp_path: Path) -> None:
    rolls = {split: np.stack([of[1], of[1][::-1]]) for split, of in ROLLS.items()}
    as_array = write(tmp_path / "x.pickle", rolls)
    as_list = write(tmp_path / "y.pickle", {split: list(of) for split, of in rolls.items()})
    assert read_published(as_array).pieces == read_published(as_list).pieces


@pytest.mark.parametrize(
    ("name", "given", "resolution"),
    [
        ("jsb-chorales-quarter.json", None, 1),
        ("jsb-chorales-8th.json", None, 2),
        ("Jsb16thSeparated.json", None, 4),
        ("jsb-chorales-8th.json", 3, 3),
        ("opus-118th.json", None, Layout.resolution),
        ("pieces.json", None, Layout.resolution),
    ],
)
def test_the_resolution_is_what_was_said_or_what_the_name_says(
    name: str, given: int | None, resolution: int, tmp_path: Path
) -> None:
    path = write(tmp_path / name, frames_of(ROLLS))
    assert read_published(path, given).layout == Layout(resolution, channels="frame")


def test_an_invalid_resolution_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RollError, match=r"resolution must be 1 to 96 .* got 0"):
        read_published(write(tmp_path / "x.json", frames_of(ROLLS)), 0)


@pytest.mark.parametrize(
    "keys",
    [
        ("train", "validation", "test"),
        ("training", "val", "testing"),
        ("traindata", "dev", "testdata"),
    ],
)
@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_splits_go_by_several_names(keys: tuple[str, ...], suffix: str, tmp_path: Path) -> None:
    document = mat(ROLLS) if suffix == ".mat" else frames_of(ROLLS)
    renamed = dict(zip(keys, document.values(), strict=True))
    assert [split for _, split, _ in read_published(write(tmp_path / f"x{suffix}", renamed)).pieces] == [
        split for split in SPLITS for _ in ROLLS[split]
    ]


def holding(piece: Any) -> dict[str, Any]:
    """Return a document whose second piece is this one."""
    return {"train": [[[60]], piece], "valid": [[[60]]], "test": [[[60]]]}


def matlab(piece: Any) -> dict[str, Any]:
    return {**mat(ROLLS), "validdata": objects([ROLLS["valid"][0], piece], 1, 2)}


NESTED: list[Any] = [60]
for _ in range(100):
    NESTED = [NESTED]

REFUSED = {
    "list.json": ([1], "expected keys train, valid, test; found list"),
    "array.pickle": (np.zeros(3), "expected keys train, valid, test; found ndarray"),
    "none.json": ({}, "expected keys train, valid, test; train is missing"),
    "two.json": ({"train": [[[60]]], "test": [[[60]]]}, "expected keys train, valid, test; valid is missing"),
    "other.mat": (
        {"x": np.zeros(3)},
        "expected variables traindata, validdata, testdata; traindata is missing",
    ),
    "two.mat": (
        {key: cells for key, cells in mat(ROLLS).items() if key != "testdata"},
        "expected variables traindata, validdata, testdata; testdata is missing",
    ),
    "twice.json": (
        {**holding([[60]]), "dev": [[[60]]]},
        "expected valid once, found valid and dev",
    ),
    "no-pieces.json": ({**holding([[60]]), "test": []}, "test: expected pieces, found none"),
    "no-pieces.pickle": (
        {**holding([[60]]), "test": np.zeros((0, 3, 88))},
        "test: expected pieces, found none",
    ),
    "no-cells.mat": ({**mat(ROLLS), "testdata": objects([], 1, 0)}, "testdata: expected pieces, found none"),
    "text.json": ({**holding([[60]]), "valid": "abc"}, "valid: expected a list of pieces, found str"),
    "number.pickle": ({**holding([[60]]), "valid": 3}, "valid: expected a list of pieces, found int"),
    "no-dimensions.pickle": (
        {**holding([[60]]), "valid": np.array(3)},
        "valid: expected a list of pieces, found ndarray",
    ),
    "no-frames.json": (holding([]), "train 1: expected 1 to 8388608 frames, found 0"),
    "no-frames.pickle": (
        holding(np.zeros((0, 88), np.uint8)),
        "train 1: a roll must have shape (T, 88) and T >= 1, got (0, 88)",
    ),
    "piece.json": (holding(60), "train 1: expected a list of frames, found int"),
    "dict.pickle": (holding({60: 60}), "train 1: expected a list of frames, found dict"),
    "frame.json": (holding([[60], 61]), "train 1: frame 1: expected a list of pitches, found int 61"),
    "word.json": (holding([[60], "61"]), "train 1: frame 1: expected a list of pitches, found str '61'"),
    "flat.pickle": (
        holding(np.arange(21, 100)),
        "train 1: frame 0: expected a list of pitches, found int 21",
    ),
    "low.json": (holding([[60], [20]]), "train 1: frame 1: expected pitches 21 to 108, found 20"),
    "high.json": (holding([[109]]), "train 1: frame 0: expected pitches 21 to 108, found 109"),
    "half.json": (holding([[60.5]]), "train 1: frame 0: expected pitches 21 to 108, found 60.5"),
    "infinite.json": (holding([[float("inf")]]), "train 1: frame 0: expected pitches 21 to 108, found inf"),
    "large.json": (
        holding([[10**400]]),
        "train 1: frame 0: expected pitches 21 to 108, found 100000000000000000...0000000000000000000",
    ),
    "true.json": (holding([[True]]), "train 1: frame 0: expected pitches 21 to 108, found True"),
    "string.json": (holding([["60"]]), "train 1: frame 0: expected pitches 21 to 108, found '60'"),
    "deeper.json": (holding([[[60]]]), "train 1: frame 0: expected pitches 21 to 108, found [60]"),
    "very-deep.json": (
        holding(NESTED),
        "train 1: frame 0: expected pitches 21 to 108, found [[[[[[[...]]]]]]]",
    ),
    "array.pkl": (holding([np.array([[60]])]), "train 1: frame 0: expected pitches 21 to 108, found [60]"),
    "narrow.pickle": (
        holding(np.zeros((3, 80), np.uint8)),
        "train 1: frame 0: expected pitches 21 to 108, found 0",
    ),
    "many.json": (holding([[60] * 129]), "train 1: frame 0: expected at most 128 pitches, found 129"),
    "twos.pickle": (holding(np.full((3, 88), 2)), "train 1: expected zeros and ones, found 2"),
    "half.pickle": (holding(np.full((3, 88), 0.5)), "train 1: expected zeros and ones, found 0.5"),
    "nan.pickle": (holding(np.full((3, 88), np.nan)), "train 1: expected zeros and ones, found nan"),
    "wide.json": (holding([[60] * 88]), "train 1: expected zeros and ones, found 60"),
    "words.json": (holding([["a"] * 88]), "train 1: expected zeros and ones, found other values"),
    "rests.json": (holding([[None] * 88]), "train 1: expected zeros and ones, found other values"),
    "uneven.json": (holding([[0] * 87 + [[]]]), "train 1: expected zeros and ones, found lists of them"),
    "deeper.pickle": (
        holding([[[0, 1]] * 88]),
        "train 1: a roll must have shape (T, 88) and T >= 1, got (1, 88, 2)",
    ),
    "narrow.mat": (
        matlab(np.zeros((3, 80))),
        "validdata 1: a roll must have shape (T, 88) and T >= 1, got (3, 80)",
    ),
    "twos.mat": (matlab(np.full((3, 88), 2)), "validdata 1: expected zeros and ones, found 2"),
    "half.mat": (matlab(np.full((3, 88), 0.5)), "validdata 1: expected zeros and ones, found 0.5"),
    "words.mat": (matlab("abc"), "validdata 1: expected zeros and ones, found other values"),
    "no-cells-but-rolls.mat": (
        {f"{split}data": np.zeros((3, 88)) for split in SPLITS},
        "traindata 0: a roll must have shape (T, 88) and T >= 1, got (88,)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_collection_of_rolls_is_refused(name: str, tmp_path: Path) -> None:
    document, message = REFUSED[name]
    path = write(tmp_path / name, document)
    with pytest.raises(CorpusError) as refusal:
        read_published(path)
    assert str(refusal.value).removeprefix(f"{path}: ") == message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.mat", b"hello", "expected a .mat file of piano rolls, found damage: "),
        ("x.mat", b"", "expected a .mat file of piano rolls, found damage: "),
        (
            "x.mat",
            b"\0" * 126 + b"IM" + b"\x0f\0\0\0\x04\0\0\0abcd",
            "expected a .mat file .* found damage: ",
        ),
        ("x.json", b"", "expected JSON, found damage: "),
        ("x.json", b"{", "expected JSON, found damage: "),
        ("x.json", b'{"train": "\xff"}', "expected JSON, found damage: .*utf-8"),
        ("x.json", b"[" * 100_000, "expected JSON, found damage: .*recursion"),
        ("x.json", b'{"train": [[[' + b"9" * 5000 + b"]]]}", "expected (JSON|keys)"),
        ("x.pickle", b"", "expected a pickle of .*, found damage: "),
        (
            "x.pkl",
            b"cos\nsystem\n(Vtrue\ntR.",
            "expected a pickle of .* only, found one that names os.system",
        ),
    ],
)
def test_damage_is_one_line_about_the_file(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=rf"\A{tmp_path / name}: {message}.*\Z"):
        read_published(tmp_path / name)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_file_cut_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    document = mat(ROLLS) if suffix == ".mat" else frames_of(ROLLS)
    content = write(tmp_path / f"x{suffix}", document).read_bytes()
    for length in range(0, len(content), 1 + len(content) // 40):
        (tmp_path / f"x{suffix}").write_bytes(content[:length])
        with pytest.raises(CorpusError, match=rf"x{suffix}: expected [^\n]*\Z"):
            read_published(tmp_path / f"x{suffix}")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "x.json"):
        with pytest.raises(FileError, match=f"{path}: can't read"):
            read_published(path)


def test_large_files_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.json", frames_of(ROLLS))
    monkeypatch.setattr(published, "MAX_BYTES", 100)
    with pytest.raises(CorpusError, match=r"x.json: expected at most 100 bytes, found \d+"):
        read_published(path)


def test_small_files_that_unpack_to_large_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.mat", matlab(np.zeros((100_000, 88), np.uint8)))
    assert path.stat().st_size < 20_000
    assert read_published(path).pieces
    monkeypatch.setattr(published, "MAX_UNPACKED", 2**23)
    with pytest.raises(CorpusError, match=r"x.mat: .* found damage: more than 8388608 bytes once unpacked"):
        read_published(path)


def test_repeated_pieces_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "MAX_FRAMES", 1000)
    path = write(tmp_path / "x.pickle", {**holding([[60]]), "train": [[[60]] * 10] * 10**4})
    with pytest.raises(CorpusError, match="train 100: expected at most 1000 frames in all, found more"):
        read_published(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 120) | st.floats() | st.text(max_size=3),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=3), values, max_size=2),
)


@settings(deadline=None)
@given(split=JSON, piece=JSON, suffix=st.sampled_from([".json", ".pickle"]))
def test_any_document_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, split: Any, piece: Any, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("documents") / f"x{suffix}"
    for document in (split, {**holding([[60]]), "valid": split}, holding(piece)):
        write(path, document)
        try:
            read_published(path)
        except CorpusError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.fixture(scope="module")
def benchmark() -> Callable[[str], Published]:
    def read(name: str) -> Published:
        if not SHARED.exists():
            pytest.skip("needs the published benchmarks in ../shared")
        return read_published(SHARED / f"{name}.mat")

    return read


@pytest.mark.parametrize(
    ("file", "name", "resolution", "pieces", "frames"),
    [
        ("JSB_Chorales", "jsb", 1, (229, 76, 77), (13_807, 4_602, 4_725)),
        ("Nottingham", "nottingham", 2, (694, 173, 170), (176_561, 45_513, 44_463)),
        ("MuseData", "musedata", 2, (524, 135, 124), (245_202, 82_755, 64_339)),
        ("Piano_midi", "piano-midi", 2, (87, 12, 25), (75_911, 8_540, 19_036)),
    ],
)
def test_the_benchmarks_have_the_published_numbers_of_pieces_and_frames(
    benchmark: Callable[[str], Published],
    file: str,
    name: str,
    resolution: int,
    pieces: tuple[int, ...],
    frames: tuple[int, ...],
) -> None:
    found = benchmark(file)
    assert found.name == name and found.layout == Layout(resolution, channels="frame")
    lengths = {split: [len(roll) for _, of, roll in found.pieces if of == split] for split in SPLITS}
    assert tuple(map(len, lengths.values())) == pieces
    assert tuple(map(sum, lengths.values())) == frames


def pickle_of_2012(document: dict[str, list[list[list[int]]]]) -> bytes:
    """Write pieces as Python 2's cPickle writes tuples of numpy's int64, byte for byte."""
    numbers = count(1)

    def put() -> bytes:
        number = next(numbers)
        return b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)

    def listed(items: list[Any], write: Callable[[Any], bytes]) -> Iterator[bytes]:
        yield b"]" + put()
        for start in range(0, len(items), 1000):
            batch = [write(item) for item in items[start : start + 1000]]
            yield batch[0] + b"a" if len(batch) == 1 else b"(" + b"".join(batch) + b"e"

    def pitch(value: int) -> bytes:
        nonlocal known
        if not known:
            known = b"cnumpy.core.multiarray\nscalar\n" + put() + b"cnumpy\ndtype\n" + put()
            known += b"U\x02i8K\x00K\x01\x87R" + put()
            known += b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            start = known
        else:
            start = b"h\x05h\x07"
        return start + b"U\x08" + struct.pack("<q", value) + b"\x86R" + put()

    def frame(pitches: list[int]) -> bytes:
        if not pitches:
            return b")"
        few = {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(pitches))
        body = b"".join(map(pitch, pitches))
        return (body + few if few else b"(" + body + b"t") + put()

    def piece(frames: list[list[int]]) -> bytes:
        return b"".join(listed(frames, frame))

    known = b""
    content = b"\x80\x02}" + put() + b"("
    for split in ("test", "train", "valid"):
        content += b"U" + bytes([len(split)]) + split.encode() + put()
        content += b"".join(listed(document[split], piece))
    return content + b"u."


def test_the_chorales_are_the_same_in_all_published_formats(
    benchmark: Callable[[str], Published], tmp_path: Path
) -> None:
    chorales = benchmark("JSB_Chorales")
    document = frames_of(
        {split: [roll.frames for _, of, roll in chorales.pieces if of == split] for split in SPLITS}
    )
    content = pickle_of_2012(document)
    assert hashlib.sha256(content).hexdigest() == (
        "69dc4c3e52800959ac0ab3b82aa3e5f55285ce64f1705acb3e3a8ef77a5c051c"  # that of the published pickle
    )
    (tmp_path / "jsb.pickle").write_bytes(content)
    for path in (write(tmp_path / "jsb-chorales-quarter.json", document), tmp_path / "jsb.pickle"):
        assert read_published(path, 1).pieces == chorales.pieces
