"""MIDI file -> Score: symusic, and mido for files that symusic refuses. Sizes are checked before allocation.

Notes without an end in the file (hanging notes) are ended here and counted. symusic drops them silently, so
every track that it reads has releases of all keys added long after its end: notes that end there are hanging.

References:
    MIDI Manufacturers Association, Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import FileError, MidiError
from musicrnn.music.midi.writing import END_MARKER
from musicrnn.music.score import NOTE, Key, Metre, Score, Tempo, Track

MAX_FILE_BYTES = 16 * 2**20
MAX_TRACKS = 1024
MAX_NOTES = 2**20
MAX_RELEASE_BYTES = 2**25

_END_OF_TRACK = b"\xff\x2f\x00"
_EMPTY_EVENT = b"\xff\x7f\x00"  # a sequencer-specific event
HANGING = 4 * (2**28 - 1)
"""Ticks between the end of a track and the releases that are added to it: four of the longest deltas."""
_PAUSE = b"".join([_EMPTY_EVENT, *[b"\xff\xff\xff\x7f" + _EMPTY_EVENT] * 4, b"\x00"])
_PEDAL_UP = [bytes([0, 0xB0 | channel, 64, 0]) for channel in range(16)]
_EVERY_KEY = range(128)
_STATUS_FIRST = re.compile(rb"[\x80-\xff]{0,3}[\x00-\x7f][\x80-\xff]")
_HTML = re.compile(rb"\s*<(!doctype|html|head|\?xml|script)", re.IGNORECASE)


def _releases(keys: Sequence[int]) -> list[bytes]:
    """Return for every channel the events that release keys and pedal, with a delta after but none before."""
    events = b"\x00".join(bytes([key, 0]) for key in keys)
    return [bytes([0x80 | channel]) + events + up + b"\x00" for channel, up in enumerate(_PEDAL_UP)]


_RELEASES = _releases(_EVERY_KEY)


def read_midi(source: Path | str | bytes, name: str | None = None) -> Score:
    """Read a Standard MIDI File of type 0 or 1.

    A hanging note ends at the next start or end of its pitch, else with its track.

    Args:
        source: A path, or the bytes of the file.
        name: What to call the file in errors, if not by its path.

    Returns:
        The score. Tracks without notes are left out.

    Raises:
        FileError: The file can't be read.
        MidiError: The bytes are no MIDI file that can be read; the error's ``reason`` says why in one word.
    """
    data = source if isinstance(source, bytes) else read_file(Path(source))
    name = name or ("the given bytes" if isinstance(source, bytes) else str(source))
    chunks = _check_bytes(data, name)
    reader, parsed = "symusic", _parse(data, chunks)
    if parsed is None:
        reader, (data, chunks, parsed) = "mido", _repair(data, name)
    notes, tracks = _read_tracks(parsed, name)
    found, releases = 0, 1
    while (hanging := int(np.count_nonzero(notes["end"] >= HANGING))) > found:
        found, releases = hanging, 4 * releases  # a release ends one note, but a pitch may have several
        keys = np.unique(notes["pitch"][notes["end"] >= HANGING]).tolist()
        if 3 * releases * len(keys) * len(_channels(data)) * len(chunks) > MAX_RELEASE_BYTES:
            raise MidiError(f"{name}: expected notes that end, found too many that don't", "too-many-notes")
        notes, tracks = _read_tracks(_parse(data, chunks, keys * releases), name)
    if found:
        tracks = [_end_hanging(track) for track in tracks]
    if len(notes) and (notes["start"].min() < 0 or (notes["end"] < notes["start"]).any()):
        raise MidiError(f"{name}: expected at most {HANGING} ticks, found more", "too-long")
    return _score(parsed, tracks=tuple(tracks), reader=reader, hanging=found)


Columns = list[tuple[bool, dict[str, NDArray[Any]]]]
"""Each track with notes: whether it is drums, and their ``time``, ``duration`` and ``pitch``, each (N,)."""


def read_columns(data: bytes) -> tuple[Score, Columns] | None:
    """Read a file without checking its notes, for processing many files at once.

    Returns:
        The score without tracks, and the notes; None if symusic refuses the file or it has too many notes.
        Notes that end at ``HANGING`` ticks or later are hanging.

    Raises:
        MidiError: The bytes are no MIDI file that can be read.
    """
    parsed = _parse(data, _check_bytes(data, "the given bytes"))
    if parsed is None or parsed.note_num() > MAX_NOTES:
        return None
    found = [(bool(track.is_drum), track.notes.numpy()) for track in parsed.tracks]
    return _score(parsed, tracks=()), [track for track in found if len(track[1]["time"])]


def _score(parsed: Any, **facts: Any) -> Score:
    """Return the score of a file that symusic parsed; ``facts`` are its tracks and how it was read."""
    metres = parsed.time_signatures
    return Score(
        ticks_per_quarter=parsed.ticks_per_quarter,
        tempos=tuple(Tempo(tempo.time, 6e7 / tempo.mspq) for tempo in parsed.tempos if tempo.mspq > 0),
        metres=tuple(Metre(m.time, m.numerator, m.denominator) for m in metres if m.numerator > 0),
        keys=tuple(Key(k.time, k.key, bool(k.tonality)) for k in parsed.key_signatures if -7 <= k.key <= 7),
        end=max((marker.time for marker in parsed.markers if marker.text == END_MARKER), default=0),
        **facts,
    )


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a file of at most ``MAX_FILE_BYTES``.

    Raises:
        FileError: The file can't be read.
        MidiError: It is too large.
    """
    try:
        # System calls: opening a small file takes half of the time to read it.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            parts = [os.read(descriptor, min(size or MAX_FILE_BYTES, MAX_FILE_BYTES) + 1)]
            while parts[-1] and len(parts[0]) != size and sum(map(len, parts)) <= MAX_FILE_BYTES:
                parts.append(os.read(descriptor, 2**20))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileError(f"{path}: can't read: {error.strerror or error}", "unreadable") from error
    data = b"".join(parts)
    if len(data) > MAX_FILE_BYTES:
        raise MidiError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found more", "too-large")
    return data


def _parse(data: bytes, chunks: list[tuple[int, int]], keys: Sequence[int] = _EVERY_KEY) -> Any:
    """Return symusic's score of a file with these releases added, or None where it refuses the file."""
    import symusic

    try:
        return symusic.Score.from_midi(b"".join(_with_releases(data, chunks, keys)))
    except (RuntimeError, ValueError, IndexError):
        return None


def _repair(data: bytes, name: str) -> tuple[bytes, list[tuple[int, int]], Any]:
    """Return a damaged file as mido rewrites it, with data bytes clipped, its chunks, and symusic's score."""
    import mido

    buffer = io.BytesIO()
    try:
        mido.MidiFile(file=io.BytesIO(data), clip=True).save(file=buffer)
        data = buffer.getvalue()
        chunks = _check_bytes(data, name)
    except Exception as error:  # mido raises almost any error
        found = f"{type(error).__name__}: {error}"
        raise MidiError(f"{name}: expected a readable MIDI file, found damage: {found}", "damaged") from error
    if (parsed := _parse(data, chunks)) is None:
        raise MidiError(f"{name}: expected a readable MIDI file, found damage", "damaged")
    return data, chunks, parsed


def _check_bytes(data: bytes, name: str) -> list[tuple[int, int]]:
    """Return the first byte of each track's events, and the byte after its last.

    Files of another format, with false headers, incomplete tracks, or too large are refused.
    """
    if not data:
        raise MidiError(f"{name}: expected a MIDI file, found an empty file", "empty")
    if len(data) > MAX_FILE_BYTES:
        raise MidiError(f"{name}: expected at most {MAX_FILE_BYTES} bytes, found more", "too-large")
    if not data.startswith(b"MThd"):
        found, reason = f"a file that starts {data[:4]!r}", "not-midi"
        if data.startswith(b"RIFF") and data[8:12] == b"RMID":
            found, reason = "one wrapped in RIFF (.rmi)", "riff"
        elif _HTML.match(data[:64].removeprefix(b"\xef\xbb\xbf")):
            found, reason = "a page of HTML or XML", "html"
        raise MidiError(f"{name}: expected a MIDI file (MThd), found {found}", reason)
    if len(data) < 14:
        raise MidiError(f"{name}: expected a MIDI header of 14 bytes, found {len(data)}", "truncated")
    kind, division = int.from_bytes(data[8:10], "big"), int.from_bytes(data[12:14], "big")
    if kind > 1:
        raise MidiError(f"{name}: expected MIDI type 0 or 1, found type {kind}", "type-2")
    if division == 0:
        raise MidiError(f"{name}: expected ticks per quarter note, found division 0", "division-0")
    if division & 0x8000:
        raise MidiError(f"{name}: expected ticks per quarter note, found an SMPTE division", "smpte")
    chunks: list[tuple[int, int]] = []
    offset = 8 + int.from_bytes(data[4:8], "big")
    while offset + 8 <= len(data):
        length = int.from_bytes(data[offset + 4 : offset + 8], "big")
        present = len(data) - offset - 8
        is_track = data[offset : offset + 4] == b"MTrk"
        number = len(chunks) + is_track
        if length > present and (is_track or not chunks):
            text = f"expected {length} bytes in chunk {number}, found {present} before the file ends"
            raise MidiError(f"{name}: {text}", "truncated")
        if number > MAX_TRACKS:
            raise MidiError(f"{name}: expected at most {MAX_TRACKS} tracks, found more", "too-many-tracks")
        if is_track:
            chunks.append((offset + 8, offset + 8 + length))
        offset += 8 + length
    if not chunks:
        raise MidiError(f"{name}: expected a track, found none before the file ends", "truncated")
    return chunks


def _with_releases(data: bytes, chunks: list[tuple[int, int]], keys: Sequence[int]) -> Iterator[bytes]:
    """Yield the parts of the same file with keys and pedals released long after the end of each track.

    Pedals are released before it begins, too: symusic takes those of channels 2 to 16 as down until then.
    """
    yield b"MThd\0\0\0\6" + data[8:10] + len(chunks).to_bytes(2, "big") + data[12:14]
    releases = _RELEASES if keys is _EVERY_KEY else _releases(keys)
    channels = _channels(data)
    for start, end in chunks:
        events, body = data[start:end], []
        if channels and _STATUS_FIRST.match(events):
            body = [*(_PEDAL_UP[channel] for channel in channels), b"\x00", _EMPTY_EVENT]
        played = _without_end(events)
        body += [played, b"\x00" if played is events else b"", _PAUSE]
        body += [*(releases[channel] for channel in channels), _END_OF_TRACK]
        yield b"MTrk" + sum(map(len, body)).to_bytes(4, "big") + b"".join(body)


def _channels(data: bytes) -> list[int]:
    """Return the channels that may have notes: those whose status byte occurs, if only as another byte."""
    return [channel for channel in range(16) if 0x90 | channel in data]


def _without_end(events: bytes) -> bytes:
    """Return events without the end of the track, but with its delta, or the same object if there is no end.

    Usually the end comes last. Where bytes follow, or seem to, the events are parsed.
    """
    found = events.find(_END_OF_TRACK)
    if found < 0:
        return events
    if found == len(events) - 3:
        return events[:found]
    at, running = 0, 0
    try:
        while True:
            _, at = _number(events, at)
            if events.startswith(_END_OF_TRACK, at):
                return events[:at]
            status = events[at]
            if status in (0xF0, 0xF7, 0xFF):
                length, at = _number(events, at + (2 if status == 0xFF else 1))
                at += length
                continue
            if status >= 0x80:
                running, at = status, at + 1
            if not 0x80 <= running < 0xF0:
                return events
            at += 1 if running & 0xE0 == 0xC0 else 2
    except IndexError:
        return events


def _number(events: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, one to four times seven bits, and the place after it."""
    number = 0
    for after, byte in enumerate(events[at : at + 4], at + 1):
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, after
    raise IndexError


def _end_hanging(track: Track) -> Track:
    """End hanging notes at the next start or end of their pitch, else with the track."""
    notes = track.notes
    hanging = notes["end"] >= HANGING
    notes["end"][hanging] -= HANGING
    for pitch in np.unique(notes["pitch"][hanging]):
        of_pitch = notes["pitch"] == pitch
        events = np.unique(np.append(notes["start"][of_pitch], notes["end"][of_pitch & ~hanging]))
        here = of_pitch & hanging
        after = np.searchsorted(events, notes["start"][here], side="right")
        events = np.append(events, np.iinfo(np.int64).max)
        notes["end"][here] = np.minimum(notes["end"][here], events[after])
    return track


def _read_tracks(parsed: Any, name: str) -> tuple[NDArray[Any], list[Track]]:
    """Return all notes, and the tracks with notes, which are slices of all."""
    if parsed.note_num() > MAX_NOTES:
        raise MidiError(f"{name}: expected at most {MAX_NOTES} notes, found more", "too-many-notes")
    found = [(track, columns) for track in parsed.tracks if len((columns := track.notes.numpy())["time"])]
    if not found:
        return np.zeros(0, NOTE), []
    notes = np.empty(sum(len(columns["time"]) for _, columns in found), NOTE)
    for field, source in (("start", "time"), ("end", "duration"), ("pitch",) * 2, ("velocity",) * 2):
        notes[field] = np.concatenate([columns[source] for _, columns in found])
    notes["end"] += notes["start"]
    order = notes["start"] * 128 + notes["pitch"]
    falls = set((np.flatnonzero(order[1:] < order[:-1]) + 1).tolist())
    tracks, begin = [], 0
    for track, columns in found:
        end = begin + len(columns["time"])
        if not falls.isdisjoint(range(begin + 1, end)):
            notes[begin:end] = notes[begin:end][np.argsort(order[begin:end], kind="stable")]
        facts = int(track.program), bool(track.is_drum), str(track.name), _pedals(track.pedals)
        tracks.append(Track(notes[begin:end], *facts))
        begin = end
    return notes, tracks


def _pedals(pedals: Any) -> NDArray[np.int64]:
    if not len(pedals):
        return np.zeros((0, 2), np.int64)
    columns = pedals.numpy()
    start = columns["time"].astype(np.int64)
    end = start + columns["duration"]
    pedals = np.stack([start, np.where(end >= HANGING, end - HANGING, end)], axis=1)
    return np.asarray(pedals[pedals[:, 0] < pedals[:, 1]])
