"""What a corpus is said to hold is what a walk through its pieces finds."""

from __future__ import annotations

import itertools
import json
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from musicrnn.corpus import Corpus, PieceFacts, open_corpus
from musicrnn.corpus.convert import Converted, Part, fingerprint
from musicrnn.corpus.draft import Draft
from musicrnn.corpus.store import pack_frames
from musicrnn.corpus.summary import summarize
from musicrnn.music import Layout, PianoRoll, to_score
from musicrnn.music.statistics import RollCounts
from musicrnn.music.tonality import find_key

LAYOUT = Layout(4, 48, 72)


def write(folder: Path, layout: Layout = LAYOUT) -> Corpus:
    """Five pieces: the first is cut in two, the fourth is silent, the last is the third a semitone up."""
    rng = np.random.default_rng(0)
    rolls = [
        PianoRoll((rng.random((length, layout.width)) < 0.05).astype(np.uint8), layout)
        for length in (40, 64, 12)
    ]
    notes = rolls[2].notes()
    notes = notes[notes["pitch"] < layout.high]
    rolls[2] = PianoRoll.from_notes(notes, 12, layout)
    notes["pitch"] += 1
    rolls += [
        PianoRoll(np.zeros((7, layout.width), np.uint8), layout),
        PianoRoll.from_notes(notes, 12, layout),
    ]
    facts = [
        ("train", 90.0, (3, 4)),
        ("train", None, (4, 4)),
        ("valid", 60.0, (4, 4)),
        ("test", 120.0, None),
        ("test", None, (4, 4)),
    ]
    with Draft(folder / "corpus", layout, {}) as draft:
        for index, (roll, (split, tempo, metre)) in enumerate(zip(rolls, facts, strict=True)):
            cut = (
                [roll]
                if index
                else [PianoRoll(roll.frames[:30], layout), PianoRoll(roll.frames[30:], layout)]
            )
            part = Part(
                f"piece {index}",
                *fingerprint(roll),
                tuple(pack_frames(each.frames).tobytes() for each in cut),
            )
            draft.add(Converted(part.name, split, (part,), tempo=tempo, metre=metre))
        for reason in ("damaged", "no-notes", "damaged"):
            draft.add(Converted("refused", reason=reason))
        draft.finish("name", (0, 0), 0, True)
    return open_corpus(folder / "corpus")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write(tmp_path_factory.mktemp("summary"))


def pieces(corpus: Corpus) -> Iterator[tuple[PieceFacts, PianoRoll]]:
    for row in range(len(corpus.pieces)):
        yield corpus.piece(row), corpus.roll(row)


def test_statistics_and_sizes(corpus: Corpus) -> None:
    found = summarize(corpus)
    statistics = asdict(RollCounts(corpus.layout, (roll for _, roll in pieces(corpus))).statistics())
    assert {key: found[key] for key in statistics} == statistics
    assert (found["name"], found["width"], found["pitches"], found["resolution"]) == ("name", 50, [48, 72], 4)
    assert found["splits"] == {"train": 3, "valid": 1, "test": 2}
    assert found["split_frames"] == {"train": 104, "valid": 12, "test": 19}
    assert found["bytes"] == sum(path.stat().st_size for path in corpus.directory.glob("*"))
    assert "directory" not in found


def test_histograms_count_every_frame(corpus: Corpus) -> None:
    found = summarize(corpus)
    sounding = [
        [pitch for pitch in range(48, 73) if frame[pitch - 48]]
        for _, roll in pieces(corpus)
        for frame in roll.frames
    ]
    every = list(itertools.chain(*sounding))
    assert found["pitch_histogram"] == {str(pitch): n for pitch, n in Counter(every).items()}
    classes = Counter(pitch % 12 for pitch in every)
    assert list(found["pitch_class_histogram"].values()) == [classes[number] for number in range(12)]
    voices = Counter(map(len, sounding))
    assert found["polyphony_histogram"] == {str(n): voices[n] for n in range(max(voices) + 1)}


def test_keys_are_found_piece_by_piece(corpus: Corpus) -> None:
    expected: Counter[str] = Counter()
    for _, roll in pieces(corpus):
        key = find_key(to_score(roll))
        expected[key.name if key else "none"] += 1
    assert expected["none"] == 1
    assert summarize(corpus)["keys"] == dict(expected)


def test_metres_are_those_of_the_sources(corpus: Corpus) -> None:
    assert summarize(corpus)["metres"] == {"4/4": 3, "3/4": 2, "unknown": 1}


def test_playing_time_takes_unknown_tempos_at_120(corpus: Corpus) -> None:
    found = summarize(corpus)
    minutes = 40 / 4 / 90 + 64 / 4 / 120 + 12 / 4 / 60 + 7 / 4 / 120 + 12 / 4 / 120
    assert found["hours"] == pytest.approx(minutes / 60)
    assert found["pieces_without_tempo"] == 2


def test_frames_in_seconds_need_no_tempo(tmp_path: Path) -> None:
    found = summarize(write(tmp_path, Layout.in_seconds(0.05, 48, 72)))
    assert found["hours"] == pytest.approx((40 + 64 + 12 + 7 + 12) * 0.05 / 3600)
    assert (found["pieces_without_tempo"], found["frame_seconds"]) == (0, 0.05)


def test_lengths(corpus: Corpus) -> None:
    lengths = [30, 10, 64, 12, 7, 12]
    assert summarize(corpus)["lengths"] == {
        name: {"frames": length, "quarters": length / 4}
        for name, length in (
            ("shortest", min(lengths)),
            ("median", median(lengths)),
            ("longest", max(lengths)),
        )
    }


def test_what_repeats_and_what_is_missing(corpus: Corpus) -> None:
    found = summarize(corpus)
    assert found["duplicates"] == {"pieces": 1, "transposed": 1, "across_splits": 2}
    assert (found["skipped"], found["reasons"]) == (3, {"damaged": 2, "no-notes": 1})


def test_it_is_json(corpus: Corpus) -> None:
    found = summarize(corpus)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_pieces_are_read_one_after_the_other(corpus: Corpus) -> None:
    rows: list[int] = []

    def track(numbers: range) -> Iterator[int]:
        for number in numbers:
            rows.append(number)
            yield number

    summarize(corpus, track)
    assert rows == list(range(6))


def test_no_roll_and_no_fact_is_kept(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[object]] = []
    most_alive = 0
    for name in ("roll", "piece"):
        read = getattr(Corpus, name)

        def watched(self: Corpus, row: int, read=read) -> object:
            nonlocal most_alive
            most_alive = max(most_alive, sum(reference() is not None for reference in seen))
            found = read(self, row)
            seen.append(weakref.ref(found))
            return found

        monkeypatch.setattr(Corpus, name, watched)
    summarize(corpus)
    assert len(seen) == 12 and most_alive <= 3
