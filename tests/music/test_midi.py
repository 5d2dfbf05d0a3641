"""MIDI files are read whatever their quirks, refused with a reason, and written so that others read them."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from musicrnn.errors import FileError, MidiError
from musicrnn.music.midi import midi_bytes, read_midi, reading, to_pretty_midi, write_midi
from musicrnn.music.score import NOTE, Key, Metre, Score, Tempo, Track, key_name

NOTE_ON_OFF = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"
"""C4 for 96 ticks, as track events."""


def score_of(*notes: tuple[int, int, int], **facts: object) -> Score:
    """A score of (start, end, pitch) on one track at 480 ticks per quarter note."""
    rows = np.array([(start, end, pitch, 80) for start, end, pitch in notes], NOTE)
    return Score(480, (Track(rows),), **facts)


def file_of(*bodies: bytes, kind: int = 1, tracks: int | None = None, division: int = 480) -> bytes:
    """The bytes of a MIDI file whose tracks hold these events."""
    head = [kind, len(bodies) if tracks is None else tracks, division]
    chunks = [b"MTrk" + (len(body) + 4).to_bytes(4, "big") + body + b"\x00\xff\x2f\x00" for body in bodies]
    return b"MThd\x00\x00\x00\x06" + b"".join(word.to_bytes(2, "big") for word in head) + b"".join(chunks)


def with_chunk(data: bytes) -> bytes:
    """A MIDI file with a chunk of a kind unknown to all before its first track."""
    return data[:14] + b"XFIH\x00\x00\x00\x02??" + data[14:]


def test_reads_the_notes_of_a_file() -> None:
    score = read_midi(file_of(NOTE_ON_OFF, kind=0, division=96))
    assert score.ticks_per_quarter == 96
    assert score.tracks[0].notes.tolist() == [(0, 96, 60, 64)]
    assert (score.note_count, score.end, score.quarters) == (1, 96, 1.0)


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (b"", "empty", "found an empty file"),
        (b"RIFF....WAVE", "not-midi", "found a file that starts b'RIFF'"),
        (b"MThd\x00\x00\x00\x06\x00", "truncated", "header of 14 bytes, found 9"),
        (file_of(NOTE_ON_OFF)[:-5], "truncated", "expected 12 bytes in chunk 1, found 7"),
        (with_chunk(file_of(NOTE_ON_OFF))[:-5], "truncated", "expected 12 bytes in chunk 1, found 7"),
        (file_of(), "truncated", "expected a track, found none"),
        (file_of(NOTE_ON_OFF, kind=2), "type-2", "type 0 or 1, found type 2"),
        (file_of(NOTE_ON_OFF, division=0), "division-0", "found division 0"),
        (file_of(NOTE_ON_OFF, division=0xE728), "smpte", "found an SMPTE division"),
        (file_of(b"\x00\x90\x3c" + b"\xff" * 12), "damaged", "found damage"),
    ],
)
def test_refuses_what_is_no_midi_file_and_says_why(data: bytes, reason: str, text: str) -> None:
    with pytest.raises(MidiError, match=text) as caught:
        read_midi(data, name="song.mid")
    assert caught.value.reason == reason
    assert str(caught.value).startswith("song.mid: ")


def test_refuses_a_file_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 20)
    with pytest.raises(MidiError, match="at most 20 bytes") as caught:
        read_midi(file_of(NOTE_ON_OFF))
    assert caught.value.reason == "too-large"


def test_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.mid: can't read"):
        read_midi(tmp_path / "gone.mid")


def test_unknown_chunks_between_tracks_are_skipped() -> None:
    assert read_midi(with_chunk(file_of(NOTE_ON_OFF))).tracks[0].notes.tolist() == [(0, 96, 60, 64)]


def test_names_that_are_not_utf8_do_not_stop_reading() -> None:
    latin = b"\x00\xff\x03\x04caf\xe9" + b"\x00\xff\x06\x03\xe9\xe8\xea" + NOTE_ON_OFF
    score = read_midi(file_of(latin, kind=0))
    assert score.tracks[0].notes["pitch"].tolist() == [60]
    assert "\xe9" not in score.tracks[0].name
    assert read_midi(midi_bytes(score)).tracks[0].name == score.tracks[0].name


def test_tracks_without_notes_are_left_out() -> None:
    score = read_midi(file_of(b"\x00\xff\x03\x05words", NOTE_ON_OFF))
    assert [len(track.notes) for track in score.tracks] == [1]


def test_everything_a_score_says_survives() -> None:
    flute = Track(np.array([(0, 480, 72, 90), (480, 960, 74, 1)], NOTE), program=73, name="Flöte")
    drums = Track(np.array([(0, 120, 36, 127)], NOTE), is_drum=True, name="kit")
    score = Score(
        480,
        (flute, drums),
        tempos=(Tempo(0, 90.0), Tempo(480, 133.7)),
        metres=(Metre(0, 3, 4), Metre(1440, 7, 8)),
        keys=(Key(0, -3, True), Key(480, 7, False)),
        end=4800,
        title="A piece",
    )
    read = read_midi(midi_bytes(score))
    assert [(track.program, track.is_drum, track.name) for track in read.tracks] == [
        (73, False, "Flöte"),
        (0, True, "kit"),
    ]
    assert [track.notes.tolist() for track in read.tracks] == [flute.notes.tolist(), drums.notes.tolist()]
    assert [(tempo.tick, round(tempo.quarters, 3)) for tempo in read.tempos] == [(0, 90.0), (480, 133.7)]
    assert (read.ticks_per_quarter, read.metres, read.keys, read.end) == (480, score.metres, score.keys, 4800)


def test_same_score_same_bytes() -> None:
    score = score_of((0, 480, 60), (480, 960, 64), tempos=(Tempo(0, 100.0),))
    assert midi_bytes(score) == midi_bytes(score)


def test_mido_reads_the_same_notes() -> None:
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(score_of((0, 240, 60), (240, 480, 60), (240, 960, 67)))))
    now, heard = 0, []
    for message in file.tracks[1]:
        now += message.time
        if message.type in ("note_on", "note_off"):
            heard.append((now, message.type, message.note))
    assert (file.type, file.ticks_per_beat) == (1, 480)
    assert heard == [
        (0, "note_on", 60),
        (240, "note_off", 60),
        (240, "note_on", 60),
        (240, "note_on", 67),
        (480, "note_off", 60),
        (960, "note_off", 67),
    ]


@pytest.mark.parametrize("direct", [True, False])
def test_pretty_midi_reads_the_same_notes_at_the_right_seconds(direct: bool) -> None:
    score = score_of((0, 480, 60), (480, 960, 64), tempos=(Tempo(0, 60.0), Tempo(480, 120.0)))
    read = to_pretty_midi(score) if direct else pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(score)))
    notes = [(note.start, note.end, note.pitch, note.velocity) for note in read.instruments[0].notes]
    assert notes == [pytest.approx((0.0, 1.0, 60, 80)), pytest.approx((1.0, 1.5, 64, 80))]


def test_silence_at_the_end_is_kept() -> None:
    assert read_midi(midi_bytes(score_of((0, 480, 60), end=1920))).end == 1920
    assert read_midi(midi_bytes(Score(480, (), end=960))).end == 960


def test_no_end_marker_where_a_note_ends_the_music() -> None:
    assert b"\xff\x06" not in midi_bytes(score_of((0, 480, 60)))


def test_markers_of_others_do_not_lengthen_a_piece() -> None:
    refrain = b"\x83\x60\xff\x06\x07refrain"  # 480 ticks after the note
    assert read_midi(file_of(NOTE_ON_OFF + refrain, kind=0)).end == 96


def test_a_score_ends_no_earlier_than_its_notes() -> None:
    assert score_of((0, 480, 60), end=100).end == 480


def test_pitched_leaves_drums_out() -> None:
    drums = Track(np.array([(0, 120, 36, 127)], NOTE), is_drum=True)
    piano = Track(np.array([(0, 480, 60, 80)], NOTE))
    assert Score(480, (drums, piano)).pitched().tolist() == [(0, 480, 60, 80)]
    assert len(Score(480, (drums,)).pitched()) == 0


def test_more_tracks_than_channels_stay_apart_and_off_the_drums() -> None:
    tracks = tuple(Track(np.array([(0, 480, 40 + i, 80)], NOTE), program=i) for i in range(20))
    read = read_midi(midi_bytes(Score(480, tracks)))
    assert [(t.program, t.notes["pitch"].tolist(), t.is_drum) for t in read.tracks] == [
        (i, [40 + i], False) for i in range(20)
    ]


def test_writes_a_file_that_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "song.mid"
    write_midi(score_of((0, 480, 60)), path)
    assert read_midi(path).tracks[0].notes.tolist() == [(0, 480, 60, 80)]


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("musicrnn.files.os.fsync", full)
    with pytest.raises(FileError, match=r"song\.mid: can't write: No space left"):
        write_midi(score_of((0, 480, 60)), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("sharps", "minor", "name"),
    [
        (0, False, "C"),
        (0, True, "Am"),
        (-3, True, "Cm"),
        (7, False, "C#"),
        (-7, True, "Abm"),
        (7, True, "A#m"),
    ],
)
def test_key_names(sharps: int, minor: bool, name: str) -> None:
    assert key_name(sharps, minor) == name


def test_ticks_beyond_32_bits_are_refused():
    note = b"\x00\x90\x3c\x40\x10\x80\x3c\x00"
    track = note + 9 * b"\xff\xff\xff\x7f\xff\x01\x00" + note + b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"\0\0\0\1\1\xe0"
    with pytest.raises(MidiError, match="expected at most 1073741820 ticks, found more"):
        read_midi(header + b"MTrk" + len(track).to_bytes(4, "big") + track, "long.mid")
