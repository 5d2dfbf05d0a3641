"""A source becomes rolls as asked for, and what is lost on the way is counted; else it has a reason."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from musicrnn.corpus import Preparation, build_corpus, collect
from musicrnn.corpus.convert import Converted, convert, fingerprint
from musicrnn.corpus.published import read_published
from musicrnn.corpus.sources import Source
from musicrnn.corpus.store import row_bytes
from musicrnn.music import Layout, PianoRoll, Score, Track, midi_bytes, to_pianoroll
from musicrnn.music.score import NOTE, Key, Metre, Tempo

LAYOUT = Layout(4, 60, 71)
PLAIN = Preparation(LAYOUT)
SHARED = Path(__file__).parents[2].parent / "shared"


def track(*notes: tuple[int, int, int], **facts: object) -> Track:
    """A track of (first frame, frame after the last, pitch): 120 ticks are a frame."""
    rows = [(120 * start, 120 * end, pitch, 80) for start, end, pitch in notes]
    return Track(np.array(rows, NOTE), **facts)


def source_of(*tracks: Track, **facts: object) -> Source:
    return Source("song.mid", "in/song.mid", content=midi_bytes(Score(480, tracks, **facts)))


def rolls(piece: Converted, layout: Layout = LAYOUT) -> list[list[PianoRoll]]:
    """The rolls of each part."""
    assert piece.reason is None, piece.detail
    width = row_bytes(layout)
    return [
        [
            PianoRoll.trusted(
                np.unpackbits(np.frombuffer(packed, np.uint8).reshape(-1, width), axis=1, count=layout.width),
                layout,
            )
            for packed in part.rolls
        ]
        for part in piece.parts
    ]


def notes(piece: Converted, layout: Layout = LAYOUT) -> list[tuple[int, int, int]]:
    """(first frame, frame after the last, pitch) of the notes of the only roll."""
    ((roll,),) = rolls(piece, layout)
    return [(start, end, pitch) for start, end, pitch, _ in roll.notes().tolist()]


def test_a_file_becomes_a_roll_with_its_facts() -> None:
    facts = {"tempos": (Tempo(0, 90.0),), "metres": (Metre(0, 3, 4),)}
    source = replace(source_of(track((0, 4, 60), (4, 6, 64)), **facts), split="valid")
    piece = convert(source, PLAIN)
    assert notes(piece) == [(0, 4, 60), (4, 6, 64)]
    assert (piece.name, piece.split, piece.reason) == ("song.mid", "valid", None)
    assert (piece.tempo, piece.metre) == (90.0, (3, 4))
    assert piece.facts == {"reader": "symusic"}
    assert piece.sha256 == hashlib.sha256(source.content or b"").hexdigest()
    assert [part.name for part in piece.parts] == ["song.mid"]


def test_frames_in_seconds_have_their_own_tempo() -> None:
    layout = Layout.in_seconds(0.25, 60, 71)
    piece = convert(source_of(track((0, 8, 60)), tempos=(Tempo(0, 60.0),)), Preparation(layout))
    assert notes(piece, layout) == [(0, 8, 60)]
    assert (piece.tempo, piece.metre) == (120.0, None)


def test_the_report_says_which_reader_took_the_file_and_what_hung() -> None:
    content = source_of(track((0, 4, 60), (0, 4, 64))).read()
    assert content.count(b"\x80\x3c\x00") == 1
    hanging = content.replace(b"\x80\x3c\x00", b"\x80\x3d\x00")
    loud = content.replace(b"\x3c\x50", b"\x3c\xd0")
    assert convert(Source("a.mid", "a.mid", content=hanging), PLAIN).facts == {
        "reader": "symusic",
        "hanging_notes": 1,
    }
    assert convert(Source("a.mid", "a.mid", content=loud), PLAIN).facts == {"reader": "mido"}


@pytest.mark.parametrize(
    ("source", "preparation", "reason", "detail"),
    [
        (source_of(), PLAIN, "no-notes", "expected notes, found none"),
        (source_of(track((0, 4, 36), is_drum=True)), PLAIN, "no-notes", "expected notes, found only drums"),
        (
            source_of(track((0, 4, 60))),
            replace(PLAIN, tracks=("2",)),
            "no-notes",
            "expected notes, found none in the tracks and programs chosen",
        ),
        (source_of(track((0, 4, 59))), PLAIN, "no-notes", "expected notes in 60:71, found none"),
        (
            source_of(track((0, 4, 60))),
            replace(PLAIN, min_frames=5),
            "too-short",
            "at least 5 frames, found 4",
        ),
        (
            source_of(track((0, 2**19, 60))),
            PLAIN,
            "too-long",
            "at most 262144 frames, found a score of 524288",
        ),
        (Source("song.mid", "in/song.mid", content=b"GIF"), PLAIN, "not-midi", "starts b'GIF'"),
        (
            Source("song.mid", "in/song.mid", refusal=("in/song.mid: why", "encrypted")),
            PLAIN,
            "encrypted",
            "why",
        ),
        (Source("song.mid", "in/song.mid"), PLAIN, "unreadable", "can't read: No such file"),
    ],
)
def test_what_gives_no_roll_has_a_reason(
    source: Source, preparation: Preparation, reason: str, detail: str
) -> None:
    piece = convert(source, preparation)
    assert (piece.name, piece.parts, piece.reason) == ("song.mid", (), reason)
    assert piece.detail.startswith("in/song.mid: ")
    assert detail in piece.detail


def test_what_does_not_reach_the_roll_is_counted() -> None:
    score = Score(
        480,
        (
            track((0, 4, 60), (0, 4, 59), (0, 4, 72), (4, 8, 62), (4, 6, 62)),
            Track(np.array([(970, 1010, 64, 80), (0, 480, 60, 80)], NOTE)),
        ),
    )
    source = Source("song.mid", "song.mid", content=midi_bytes(score))
    nearest, midpoint = convert(source, PLAIN), convert(source, replace(PLAIN, quantize="midpoint"))
    assert notes(nearest) == [(0, 4, 60), (4, 8, 62), (8, 9, 64)]
    assert nearest.facts == {"reader": "symusic", "notes_out_of_range": 2, "notes_merged": 2}
    assert notes(midpoint) == [(0, 4, 60), (4, 8, 62)]
    assert midpoint.facts == {**nearest.facts, "notes_vanished": 1}


def test_tracks_and_programs_are_taken_as_asked() -> None:
    source = source_of(
        track((0, 4, 60), name="Soprano"), track((0, 4, 62), name="Alto", program=19), track((0, 4, 64))
    )
    assert notes(convert(source, replace(PLAIN, tracks=("1", "alto")))) == [(0, 4, 60), (0, 4, 62)]
    assert notes(convert(source, replace(PLAIN, programs=(19,)))) == [(0, 4, 62)]
    assert notes(convert(source, replace(PLAIN, programs=(0,), tracks=("2", "3")))) == [(0, 4, 64)]


def test_the_pedal_sustains_notes_on_request() -> None:
    events = b"\x00\xb0\x40\x7f\x00\x90\x3c\x40\x78\x80\x3c\x00\x82\x68\xb0\x40\x00\x00\xff\x2f\x00"
    content = b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk" + len(events).to_bytes(4, "big") + events
    source = Source("song.mid", "song.mid", content=content)
    assert notes(convert(source, PLAIN)) == [(0, 1, 60)]
    assert notes(convert(source, replace(PLAIN, pedal=True))) == [(0, 4, 60)]


def test_silence_at_the_ends_is_cut_off_unless_asked_for() -> None:
    source = source_of(track((3, 4, 60), (6, 8, 62)), end=120 * 12)
    assert notes(convert(source, PLAIN)) == [(0, 1, 60), (3, 5, 62)]
    kept = convert(source, replace(PLAIN, trim=False))
    assert notes(kept) == [(3, 4, 60), (6, 8, 62)]
    assert [len(roll) for roll in rolls(kept)[0]] == [12]


def test_silence_is_what_the_chosen_tracks_and_pitches_leave() -> None:
    source = source_of(track((0, 4, 60)), track((2, 4, 64)), track((0, 8, 30)))
    piece = convert(source, replace(PLAIN, tracks=("2", "3")))
    assert (notes(piece), len(rolls(piece)[0][0])) == ([(0, 2, 64)], 2)


SCALE = [(0, 4, 62), (4, 8, 64), (8, 12, 66), (12, 16, 67), (16, 20, 69), (20, 28, 62)]
"""D major, tonic last and longest."""


def moved(semitones: int) -> list[tuple[int, int, int]]:
    return [(start, end, pitch + semitones) for start, end, pitch in SCALE]


@pytest.mark.parametrize(
    ("keys", "semitones"),
    [
        ((), -2),  # as it sounds
        ((Key(0, 2, False),), -2),
        ((Key(0, 1, False),), 5),  # as it says, even if it sounds otherwise
        ((Key(0, 0, True),), 3),
        ((Key(0, -3, True), Key(480, 2, False)), 0),
    ],
)
def test_pieces_go_to_c_by_their_signature_or_else_by_their_sound(
    keys: tuple[Key, ...], semitones: int
) -> None:
    layout = Layout(4)
    source = source_of(track(*SCALE), track((0, 28, 40), is_drum=True), keys=keys)
    piece = convert(source, Preparation(layout, transpose_to_c=True))
    assert notes(piece, layout) == moved(semitones)
    assert piece.facts.get("transposed", 0) == semitones
    assert notes(convert(source, Preparation(layout)), layout) == SCALE


def test_the_key_is_that_of_the_whole_for_any_selection_of_tracks() -> None:
    layout = Layout(4)
    source = source_of(track((0, 4, 65)), track(*SCALE))
    piece = convert(source, Preparation(layout, tracks=("1",), transpose_to_c=True))
    assert notes(piece, layout) == [(0, 4, 63)]


def test_notes_that_a_move_takes_out_of_midi_are_counted() -> None:
    layout = Layout(4, 0, 127)
    source = source_of(track((0, 4, 1), (0, 4, 60), (0, 4, 2)), keys=(Key(0, 2, False),))
    piece = convert(source, Preparation(layout, transpose_to_c=True))
    assert notes(piece, layout) == [(0, 4, 0), (0, 4, 58)]
    assert piece.facts["notes_out_of_range"] == 1


def test_every_track_may_become_a_piece() -> None:
    source = source_of(
        track((0, 4, 60)),
        track((0, 4, 36), is_drum=True),
        track((0, 4, 30)),
        track((2, 8, 64), (2, 9, 20)),
        track((0, 1, 65)),
    )
    piece = convert(source, replace(PLAIN, split_tracks=True, min_frames=2))
    assert [part.name for part in piece.parts] == ["song.mid#1", "song.mid#4"]
    assert [[len(roll) for roll in part] for part in rolls(piece)] == [[4], [6]]
    assert piece.facts["notes_out_of_range"] == 2
    chosen = convert(source, replace(PLAIN, split_tracks=True, tracks=("4", "5")))
    assert [part.name for part in chosen.parts] == ["song.mid#4", "song.mid#5"]


def test_tracks_of_which_none_can_be_used_have_a_reason() -> None:
    source = source_of(track((0, 4, 60)), track((0, 2, 62)), track((0, 4, 36), is_drum=True))
    piece = convert(source, replace(PLAIN, split_tracks=True, min_frames=5))
    assert (piece.reason, piece.parts) == ("too-short", ())
    drums = convert(source_of(track((0, 4, 36), is_drum=True)), replace(PLAIN, split_tracks=True))
    assert drums.reason == "no-notes"
    none = convert(source, replace(PLAIN, split_tracks=True, tracks=("7",)))
    assert (none.reason, none.parts) == ("no-notes", ())


def test_long_pieces_are_cut_and_short_rests_left_out() -> None:
    source = source_of(track((0, 10, 60), (3, 5, 64)))
    cut = rolls(convert(source, replace(PLAIN, max_frames=4)))
    assert [[len(roll) for roll in part] for part in cut] == [[4, 4, 2]]
    assert [roll.notes()["pitch"].tolist() for roll in cut[0]] == [[60, 64], [60, 64], [60]]
    assert [roll.onsets[0].sum() for roll in cut[0]] == [1, 2, 1]  # sustained notes start again
    longer = rolls(convert(source, replace(PLAIN, max_frames=4, min_frames=3)))
    assert [[len(roll) for roll in part] for part in longer] == [[4, 4]]
    whole = rolls(convert(source, replace(PLAIN, max_frames=10)))
    assert whole == rolls(convert(source, PLAIN))


def test_cut_pieces_and_tracks_are_numbered_in_the_corpus(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = source_of(track((0, 10, 60)), track((0, 4, 62)))
    (tmp_path / "in" / "x.mid").write_bytes(source.read())

    def names(**facts: object) -> list[str]:
        preparation = replace(PLAIN, **facts)
        corpus = build_corpus(collect([str(tmp_path / "in")]), preparation, tmp_path / "out").corpus
        assert {piece.split for piece in corpus.pieces} == {"train"}
        return [piece.name for piece in corpus.pieces]

    assert names() == ["x.mid"]
    assert names(max_frames=4) == ["x.mid#1", "x.mid#2", "x.mid#3"]
    assert names(split_tracks=True) == ["x.mid#1", "x.mid#2"]
    assert names(split_tracks=True, max_frames=5) == ["x.mid#1#1", "x.mid#1#2", "x.mid#2"]


def test_published_rolls_are_taken_as_they_are_but_cut() -> None:
    roll = PianoRoll(np.eye(6, 24, dtype=np.uint8), LAYOUT)
    source = Source("train-1", "file.mat: train-1", "train", roll=roll)
    piece = convert(source, replace(PLAIN, transpose_to_c=True))
    assert (rolls(piece), piece.facts, piece.sha256, piece.split) == ([[roll]], {}, None, "train")
    assert [len(part) for part in rolls(convert(source, replace(PLAIN, max_frames=4)))[0]] == [4, 2]
    assert convert(source, replace(PLAIN, min_frames=7)).reason == "too-short"


def test_a_roll_that_is_not_trimmed_is_that_of_the_score() -> None:
    score = Score(480, (track((1, 4, 60), (2, 7, 65)), track((3, 4, 65))), end=1200)
    piece = convert(Source("a.mid", "a.mid", content=midi_bytes(score)), replace(PLAIN, trim=False))
    assert rolls(piece) == [[to_pianoroll(score, 4, (60, 71))]]


def print_of(*found: tuple[int, int, int], length: int = 12, layout: Layout = LAYOUT) -> tuple[bytes, int]:
    rows = np.array([(*note, 80) for note in found], NOTE)
    return fingerprint(PianoRoll.from_notes(rows, length, layout))


def test_fingerprints_depend_on_sounding_notes_in_any_key() -> None:
    content, lowest = print_of((0, 4, 60), (2, 4, 64))
    assert lowest == 0
    assert print_of((0, 4, 63), (2, 4, 67)) == (content, 3)
    assert print_of((5, 9, 60), (7, 9, 64), length=11) == (content, 0)  # silence at the ends
    others = [
        print_of((0, 4, 60), (2, 4, 65)),
        print_of((0, 4, 60), (3, 4, 64)),
        print_of((0, 4, 60), (2, 5, 64)),
        print_of((0, 2, 60), (2, 4, 60), (2, 4, 64)),
        print_of((0, 4, 60)),
        print_of((0, 4, 60), (2, 4, 64), layout=Layout(4, 60, 71, "frame")),
        print_of(),
        print_of(length=13),
    ]
    assert len({content, *[other for other, _ in others]}) == 9


def test_fingerprints_tell_shapes_of_the_same_bits_apart() -> None:
    frame = Layout(4, 60, 71, "frame")
    chord = print_of((0, 1, 60), (0, 1, 61), length=1, layout=frame)
    held = print_of((0, 2, 60), length=2, layout=frame)
    assert chord[0] != held[0]


EXACT = {"reelsd-g53": 985, "waltzes43": 310}
"""Files that are published pieces, note for note, and where those stand, train before valid before test."""
OCTAVES = {
    "ashover39": 656,
    "jigs156": 169,
    "jigs304": 718,
    "reelsa-c51": 617,
    "reelsd-g81": 491,
    "reelsh-l2": 544,
    "reelsm-q25": 507,
    "reelsu-z14": 421,
    "waltzes14": 303,
    "waltzes39": 291,
    "waltzes42": 315,
    "waltzes47": 939,
    "waltzes49": 302,
}
"""Files of another edition, whose chords differ in their octaves only."""
MELODIES = {
    "ashover25": 680,  # A major
    "ashover43": 672,  # C major
    "hpps2": 254,  # D major
    "jigs41": 902,  # B minor
    "jigs160": 711,  # A minor
    "jigs167": 914,  # E minor
    "morris16": 751,  # B flat major
    "reelsh-l62": 413,  # with a change of key
    "waltzes15": 306,  # D minor
    "xmas8": 343,  # F major
}
"""Files of another edition, whose melodies, the first of their tracks, are those of the published pieces."""

PUBLISHED = Preparation(Layout(2, channels="frame"), quantize="midpoint", transpose_to_c=True)


@pytest.fixture(scope="module")
def published() -> list[np.ndarray]:
    path = SHARED / "benchmarks" / "Nottingham.mat"
    if not path.exists():
        pytest.skip("needs ../shared")
    return [roll.frames for _, _, roll in read_published(path).pieces]


def prepared(name: str, **facts: object) -> np.ndarray:
    """The frames of a Nottingham file, prepared as the published ones were."""
    path = SHARED / "midi" / "nottingham" / f"{name}.mid"
    preparation = replace(PUBLISHED, **facts)
    ((roll,),) = rolls(convert(Source(path.name, str(path)), preparation), preparation.layout)
    return roll.frames


def pitch_classes(frames: np.ndarray) -> np.ndarray:
    return np.stack([frames[:, (pitch - 21) % 12 :: 12].any(axis=1) for pitch in range(12)], axis=1)


@pytest.mark.parametrize(("name", "number"), EXACT.items())
def test_the_published_frames_come_back_from_the_files(
    published: list[np.ndarray], name: str, number: int
) -> None:
    frames = prepared(name)
    assert len(frames) == len(published[number]) + 1  # the published ones begin with the second
    assert (frames[1:] == published[number]).all()


@pytest.mark.parametrize(("name", "number"), OCTAVES.items())
def test_the_published_pitch_classes_come_back_from_the_files(
    published: list[np.ndarray], name: str, number: int
) -> None:
    frames = prepared(name)
    assert len(frames) == len(published[number]) + 1
    assert (pitch_classes(frames[1:]) == pitch_classes(published[number])).all()


@pytest.mark.parametrize(("name", "number"), {**EXACT, **OCTAVES, **MELODIES}.items())
def test_the_published_melodies_come_back_from_the_files(
    published: list[np.ndarray], name: str, number: int
) -> None:
    first = int(np.flatnonzero(prepared(name, trim=False).any(axis=1))[0])
    melody = prepared(name, trim=False, tracks=("1",))[first + 1 :]
    expected_frames = published[number][: len(melody)]
    assert len(expected_frames) > 100
    assert (melody[: len(expected_frames)] <= expected_frames).all()
    assert melody.any(axis=1).mean() > 0.8
