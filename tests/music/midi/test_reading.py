"""MIDI files are read despite their quirks, no note is lost, and no file exhausts memory."""

from __future__ import annotations

import io
import tracemalloc
from collections import defaultdict, deque
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.errors import FileError, MidiError
from musicrnn.music.midi import midi_bytes, read_midi, reading
from musicrnn.music.score import Key, Metre, Score

NOTE_ON_OFF = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"
"""C4 for 96 ticks, as track events."""
END = b"\x00\xff\x2f\x00"
HUNDRED_LATER = b"\x64\xff\x2f\x00"


def file_of(*bodies: bytes, kind: int = 1, tracks: int | None = None, division: int = 480) -> bytes:
    """The bytes of a MIDI file whose tracks hold these events and end where the last one is."""
    return raw_file_of(*[body + END for body in bodies], kind=kind, tracks=tracks, division=division)


def raw_file_of(*bodies: bytes, kind: int = 1, tracks: int | None = None, division: int = 480) -> bytes:
    """The bytes of a MIDI file whose tracks hold these bytes and nothing else."""
    head = [kind, len(bodies) if tracks is None else tracks, division]
    chunks = [b"MTrk" + len(body).to_bytes(4, "big") + body for body in bodies]
    return b"MThd\x00\x00\x00\x06" + b"".join(word.to_bytes(2, "big") for word in head) + b"".join(chunks)


def on(delta: int, pitch: int, velocity: int = 64, channel: int = 0) -> bytes:
    return bytes([delta, 0x90 | channel, pitch, velocity])


def off(delta: int, pitch: int, channel: int = 0) -> bytes:
    return bytes([delta, 0x80 | channel, pitch, 0])


def pedal(delta: int, value: int, channel: int = 0) -> bytes:
    return bytes([delta, 0xB0 | channel, 64, value])


def with_chunk(data: bytes) -> bytes:
    """A MIDI file with a chunk of a kind unknown to all before its first track."""
    return data[:14] + b"XFIH\x00\x00\x00\x02??" + data[14:]


def spans(score: Score) -> list[list[tuple[int, int, int]]]:
    """(start, end, pitch) of the notes of each track."""
    return [[(start, end, pitch) for start, end, pitch, _ in track.notes.tolist()] for track in score.tracks]


def test_reads_the_notes_of_a_file() -> None:
    score = read_midi(file_of(NOTE_ON_OFF, kind=0, division=96))
    assert score.ticks_per_quarter == 96
    assert score.tracks[0].notes.tolist() == [(0, 96, 60, 64)]
    assert (score.note_count, score.end, score.quarters) == (1, 96, 1.0)
    assert (score.reader, score.hanging) == ("symusic", 0)


RIFF = b"RIFF\x32\x00\x00\x00RMIDdata\x26\x00\x00\x00" + file_of(NOTE_ON_OFF)


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (b"", "empty", "found an empty file"),
        (b"RIFF....WAVE", "not-midi", "found a file that starts b'RIFF'"),
        (RIFF, "riff", r"found one wrapped in RIFF \(\.rmi\)"),
        (b"\n <!DOCTYPE html><title>404</title>", "html", "found a page of HTML or XML"),
        (b"\xef\xbb\xbf<HTML lang='en'>", "html", "found a page of HTML or XML"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "html", "found a page of HTML or XML"),
        (b"MThd\x00\x00\x00\x06\x00", "truncated", "header of 14 bytes, found 9"),
        (file_of(NOTE_ON_OFF)[:-5], "truncated", "expected 12 bytes in chunk 1, found 7"),
        (with_chunk(file_of(NOTE_ON_OFF))[:-5], "truncated", "expected 12 bytes in chunk 1, found 7"),
        (file_of(NOTE_ON_OFF, NOTE_ON_OFF)[:-1], "truncated", "expected 12 bytes in chunk 2, found 11"),
        (file_of(), "truncated", "expected a track, found none"),
        (file_of(NOTE_ON_OFF, kind=2), "type-2", "type 0 or 1, found type 2"),
        (file_of(NOTE_ON_OFF, division=0), "division-0", "found division 0"),
        (file_of(NOTE_ON_OFF, division=0xE728), "smpte", "found an SMPTE division"),
        (file_of(b"\x00\x90\x3c" + b"\xff" * 12), "damaged", "found damage"),
        (file_of(b"\x00\x3c\x40" + NOTE_ON_OFF), "damaged", "found damage: .*running status"),
        (file_of(*[b""] * (reading.MAX_TRACKS + 1)), "too-many-tracks", "at most 1024 tracks, found more"),
    ],
)
def test_refuses_what_is_no_midi_file_and_says_why(data: bytes, reason: str, text: str) -> None:
    with pytest.raises(MidiError, match=text) as caught:
        read_midi(data, name="song.mid")
    assert caught.value.reason == reason
    assert str(caught.value).startswith("song.mid: ")


def test_files_too_large_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 20)
    path = tmp_path / "song.mid"
    path.write_bytes(file_of(NOTE_ON_OFF) + bytes(2**20))
    tracemalloc.start()
    try:
        for source in (file_of(NOTE_ON_OFF), path):
            with pytest.raises(MidiError, match="at most 20 bytes") as caught:
                read_midi(source)
            assert caught.value.reason == "too-large"
        assert tracemalloc.get_traced_memory()[1] < 2**19
    finally:
        tracemalloc.stop()


def test_too_many_notes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_NOTES", 2)
    assert read_midi(file_of(2 * NOTE_ON_OFF)).note_count == 2
    with pytest.raises(MidiError, match="at most 2 notes, found more") as caught:
        read_midi(file_of(2 * NOTE_ON_OFF, NOTE_ON_OFF))
    assert caught.value.reason == "too-many-notes"


def test_as_many_tracks_as_are_allowed_are_read() -> None:
    assert len(read_midi(file_of(*[NOTE_ON_OFF] * reading.MAX_TRACKS)).tracks) == reading.MAX_TRACKS


def test_ticks_beyond_32_bits_are_refused() -> None:
    with pytest.raises(MidiError, match="expected at most 1073741820 ticks, found more") as caught:
        read_midi(file_of(NOTE_ON_OFF + 9 * b"\xff\xff\xff\x7f\xff\x01\x00" + NOTE_ON_OFF))
    assert caught.value.reason == "too-long"


def test_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.mid: can't read: No such file") as caught:
        read_midi(tmp_path / "gone.mid")
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(file_of(NOTE_ON_OFF)),
        file_of(NOTE_ON_OFF) + b"junk behind the last chunk",
        file_of(NOTE_ON_OFF) + b"\x00",
        file_of(NOTE_ON_OFF) + b"TRAILER\xffnot as long as it says",
        file_of(NOTE_ON_OFF, tracks=7),
        file_of(NOTE_ON_OFF, tracks=0),
        b"MThd\x00\x00\x00\x0a" + file_of(NOTE_ON_OFF)[8:14] + b"more" + file_of(NOTE_ON_OFF)[14:],
        raw_file_of(NOTE_ON_OFF + END + b"junk behind the end of the track"),
        raw_file_of(NOTE_ON_OFF),
    ],
    ids=["chunk", "text", "zero", "trailer", "7 tracks", "0 tracks", "header", "padded", "no end"],
)
def test_what_surrounds_the_track_does_not_matter(data: bytes) -> None:
    assert spans(read_midi(data)) == [[(0, 96, 60)]]


def test_the_end_of_a_track_is_distinguished_from_similar_bytes() -> None:
    text, program, bend = b"\x00\xff\x01\x03" + END[1:], b"\x00\xc0\x05", b"\x00\xe0\x00\x40"
    exclusive = b"\x00\xf0\x04" + END[1:] + b"\xf7"
    events = text + program + exclusive + bend + on(0, 60) + b"\x05\x3e\x40" + text
    score = read_midi(raw_file_of(events + HUNDRED_LATER + NOTE_ON_OFF))
    assert (spans(score), score.hanging, score.tracks[0].program) == ([[(0, 105, 60), (5, 105, 62)]], 2, 5)


def test_all_tracks_are_read_for_any_count_in_the_header() -> None:
    assert spans(read_midi(file_of(NOTE_ON_OFF, NOTE_ON_OFF, tracks=1))) == [[(0, 96, 60)], [(0, 96, 60)]]


def test_names_that_are_not_utf8_do_not_stop_reading() -> None:
    latin = b"\x00\xff\x03\x04caf\xe9" + b"\x00\xff\x06\x03\xe9\xe8\xea" + NOTE_ON_OFF
    score = read_midi(file_of(latin, kind=0))
    assert score.tracks[0].notes["pitch"].tolist() == [60]
    assert "\xe9" not in score.tracks[0].name
    assert read_midi(midi_bytes(score)).tracks[0].name == score.tracks[0].name


def test_tracks_without_notes_are_left_out() -> None:
    score = read_midi(file_of(b"\x00\xff\x03\x05words", NOTE_ON_OFF))
    assert [len(track.notes) for track in score.tracks] == [1]


def test_markers_of_others_do_not_lengthen_a_piece() -> None:
    refrain = b"\x83\x60\xff\x06\x07refrain"  # 480 ticks after the note
    assert read_midi(file_of(NOTE_ON_OFF + refrain, kind=0)).end == 96


def test_tempos_metres_and_keys_are_read_where_they_stand() -> None:
    facts = b"\x00\xff\x51\x03\x0f\x42\x40\x0a\xff\x58\x04\x06\x03\x18\x08\x00\xff\x59\x02\xfd\x01"
    score = read_midi(file_of(facts + NOTE_ON_OFF))
    assert [(tempo.tick, tempo.quarters) for tempo in score.tempos] == [(0, 60.0)]
    assert (score.metres, score.keys) == ((Metre(10, 6, 8),), (Key(10, -3, True),))


def test_what_symusic_refuses_mido_reads_with_its_bytes_clipped() -> None:
    score = read_midi(file_of(NOTE_ON_OFF + on(0, 62, 200) + off(10, 62) + on(0, 200) + off(10, 200)))
    assert score.reader == "mido"
    assert score.tracks[0].notes.tolist() == [(0, 96, 60, 64), (96, 106, 62, 127), (106, 116, 127, 64)]


def test_hanging_notes_are_ended_by_either_reader() -> None:
    score = read_midi(raw_file_of(on(0, 60) + on(0, 62, 200) + off(10, 62) + HUNDRED_LATER))
    assert (score.reader, score.hanging, spans(score)) == ("mido", 1, [[(0, 110, 60), (0, 10, 62)]])


@pytest.mark.parametrize(
    ("events", "notes", "hanging"),
    [
        (on(0, 60) + HUNDRED_LATER, [(0, 100, 60)], 1),
        (on(0, 60) + on(10, 62) + off(10, 62) + END, [(0, 20, 60), (10, 20, 62)], 1),
        (on(0, 60) + on(10, 60) + off(10, 60) + HUNDRED_LATER, [(0, 20, 60), (10, 20, 60)], 1),
        (on(0, 60) + on(10, 60) + HUNDRED_LATER, [(0, 10, 60), (10, 110, 60)], 2),
        (on(0, 60) + on(0, 60) + HUNDRED_LATER, [(0, 100, 60), (0, 100, 60)], 2),
        (on(0, 60) + off(10, 60) + on(5, 60), [(0, 10, 60), (15, 15, 60)], 1),
        (on(0, 60) + on(7, 62) + off(5, 62), [(0, 12, 60), (7, 12, 62)], 1),
        (on(0, 60) + HUNDRED_LATER + off(50, 60) + END, [(0, 100, 60)], 1),
        (on(0, 60) + off(10, 60) + off(10, 60) + END, [(0, 10, 60)], 0),
    ],
    ids=[
        "never released",
        "alone",
        "twice, released once",
        "twice",
        "twice at once",
        "no end of track",
        "no end of track, others continue",
        "released behind the end of the track",
        "released twice",
    ],
)
def test_a_note_that_hangs_ends_with_the_next_event_of_its_key_or_with_the_track(
    events: bytes, notes: list[tuple[int, int, int]], hanging: int
) -> None:
    score = read_midi(raw_file_of(events))
    assert (spans(score), score.hanging) == ([notes], hanging)


@pytest.mark.parametrize("strikes", [1, 3, 4, 5, 40, 5000])
def test_a_key_that_is_struck_repeatedly_loses_no_note(strikes: int) -> None:
    score = read_midi(raw_file_of(on(1, 60) * strikes + on(0, 64) + HUNDRED_LATER))
    assert score.hanging == strikes + 1
    expected = [(tick, tick + 1, 60) for tick in range(1, strikes)]
    assert spans(score) == [[*expected, (strikes, strikes + 100, 60), (strikes, strikes + 100, 64)]]


def test_notes_that_hang_in_masses_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = b"".join(on(0, 60, channel=channel) + off(0, 60, channel) for channel in range(16))
    data = file_of(on(1, 60) * 1000, *[everywhere] * 10)
    assert read_midi(data).hanging == 1000
    monkeypatch.setattr(reading, "MAX_RELEASE_BYTES", 3 * 1024 * 161 - 1)
    with pytest.raises(MidiError, match="found too many that don't") as caught:
        read_midi(data)
    assert caught.value.reason == "too-many-notes"


def test_a_key_hangs_on_its_own_channel_and_track_only() -> None:
    first = on(0, 60) + on(0, 60, channel=1) + off(10, 60, 1) + on(10, 60, channel=1) + off(10, 60, 1)
    score = read_midi(file_of(first, on(0, 60) + off(40, 60)))
    assert sorted(spans(score)) == [[(0, 10, 60), (20, 30, 60)], [(0, 30, 60)], [(0, 40, 60)]]
    assert score.hanging == 1


def test_running_status_and_releases_by_velocity_zero() -> None:
    score = read_midi(file_of(bytes([0, 0x90, 60, 64, 10, 62, 64, 10, 60, 0, 10, 62, 0])))
    assert (spans(score), score.hanging) == ([[(0, 20, 60), (10, 30, 62)]], 0)


def test_channels_of_one_track_become_tracks_and_channel_10_drums() -> None:
    events = b"".join(on(0, 60, channel=c) + off(5, 60, c) for c in (0, 1, 9))
    score = read_midi(file_of(events, kind=0))
    assert spans(score) == [[(0, 5, 60)], [(5, 10, 60)], [(10, 15, 60)]]
    assert [track.is_drum for track in score.tracks] == [False, False, True]


@pytest.mark.parametrize("channel", [0, 1, 9, 15])
def test_pedals_go_down_and_up_where_the_file_says(channel: int) -> None:
    note = on(0, 60, channel=channel) + off(5, 60, channel)
    none = read_midi(file_of(note + pedal(5, 0, channel)))
    twice = read_midi(file_of(note + pedal(5, 64, channel) + pedal(5, 127, channel) + pedal(5, 63, channel)))
    hanging = read_midi(raw_file_of(pedal(0, 127, channel) + note + HUNDRED_LATER))
    pedals = [score.tracks[0].pedals.tolist() for score in (none, twice, hanging)]
    assert pedals == [[], [[10, 20]], [[0, 105]]]
    assert hanging.hanging == 0


Event = tuple[int, int, int, int]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 2, 300]),  # ticks
        st.sampled_from([0x80, 0x90, 0x90, 0xB0]),  # kind
        st.sampled_from([0, 1, 9]),  # channel
        st.sampled_from([(60, 0), (60, 64), (61, 1)]),  # key and velocity
    ),
    max_size=24,
)


def encoded(events: list[tuple[int, int, int, tuple[int, int]]], end: int | None, running: bool) -> bytes:
    """A track with these events, an end ``end`` ticks after the last or none, and running status or not."""
    body, last = b"", None
    for delta, kind, channel, (key, velocity) in events:
        status = kind | channel
        data = (64, 127 * (velocity > 0)) if kind == 0xB0 else (key, velocity)
        body += bytes([0x80 | delta >> 7, delta & 0x7F])
        body += bytes(data if running and status == last else (status, *data))
        last = status
    return body if end is None else body + bytes([end]) + END[1:]


def plainly_read(data: bytes) -> tuple[list[tuple[list[Event], list[list[int]]]], int]:
    """What a loop over mido's events finds: notes and pedals of each channel, and how many notes hang."""
    parts, hanging = [], 0
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        now, notes, pedals, down = 0, defaultdict(list), defaultdict(list), {}
        open_notes, touched = defaultdict(deque), defaultdict(list)
        for message in track:
            now += message.time
            if message.type == "control_change":
                if message.value >= 64:
                    down.setdefault(message.channel, now)
                elif message.channel in down:
                    pedals[message.channel].append([down.pop(message.channel), now])
            elif not message.is_meta:
                key = message.channel, message.note
                touched[key].append(now)
                if message.type == "note_on" and message.velocity:
                    open_notes[key].append((now, message.velocity))
                elif open_notes[key]:
                    start, velocity = open_notes[key].popleft()
                    notes[message.channel].append((start, now, message.note, velocity))
        for channel, start in down.items():
            pedals[channel].append([start, now])
        for (channel, pitch), left in open_notes.items():
            hanging += len(left)
            for start, velocity in left:
                end = min([tick for tick in touched[channel, pitch] if tick > start], default=now)
                notes[channel].append((start, end, pitch, velocity))
        parts += [(sorted(notes[c]), [span for span in pedals[c] if span[0] < span[1]]) for c in notes]
    return sorted(parts), hanging


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.sampled_from([None, 0, 7]), st.booleans()), min_size=1, max_size=3))
def test_notes_and_pedals_are_those_a_plain_loop_over_the_events_finds(
    tracks: list[tuple[list[tuple[int, int, int, tuple[int, int]]], int | None, bool]],
) -> None:
    data = raw_file_of(*[encoded(*track) for track in tracks])
    score = read_midi(data)
    read = [(sorted(track.notes.tolist()), track.pedals.tolist()) for track in score.tracks]
    assert (sorted(read), score.hanging) == plainly_read(data)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.binary(max_size=12), st.booleans())
def test_a_damaged_track_is_read_or_refused_but_never_more(events: list, junk: bytes, first: bool) -> None:
    body = encoded(events, 0, False)
    try:
        score = read_midi(file_of(junk + body if first else body + junk))
    except MidiError as error:
        assert error.reason in ("damaged", "too-long")
    else:
        for track in score.tracks:
            assert (np.diff(track.notes["start"]) >= 0).all()
            assert (track.notes["end"] >= track.notes["start"]).all()
