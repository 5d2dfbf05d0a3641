"""Scores are written so that others read them, whole or not at all, and the same score is the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from musicrnn.errors import FileError
from musicrnn.music.midi import midi_bytes, read_midi, to_pretty_midi, write_midi
from musicrnn.music.score import NOTE, Key, Metre, Score, Tempo, Track


def score_of(*notes: tuple[int, int, int], **facts: object) -> Score:
    """A score of (start, end, pitch) on one track at 480 ticks per quarter note."""
    rows = np.array([(start, end, pitch, 80) for start, end, pitch in notes], NOTE)
    return Score(480, (Track(rows),), **facts)


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
    now, events = 0, []
    for message in file.tracks[1]:
        now += message.time
        if message.type in ("note_on", "note_off"):
            events.append((now, message.type, message.note))
    assert (file.type, file.ticks_per_beat) == (1, 480)
    assert events == [
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


def test_a_note_without_length_sounds() -> None:
    assert read_midi(midi_bytes(score_of((10, 10, 60)))).tracks[0].notes.tolist() == [(10, 11, 60, 80)]
