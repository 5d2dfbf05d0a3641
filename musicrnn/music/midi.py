"""MIDI file <-> Score: notes in ticks with tempo, metre and key.

The only module that imports a MIDI library: symusic reads (fast), mido writes (every tick under
control), pretty_midi lends its synthesiser. Ticks become frames in ``pianoroll``, never here.

References:
    MIDI Manufacturers Association, Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import MidiError
from musicrnn.files import read_bytes, write_bytes

NOTE = np.dtype([("start", np.int64), ("end", np.int64), ("pitch", np.uint8), ("velocity", np.uint8)])
"""One note: first tick, tick after the last, MIDI pitch 0-127, velocity 1-127."""

MAX_FILE_BYTES = 64 * 2**20
DRUM_CHANNEL = 9
END_MARKER = "end"
"""Text of the marker that says where the music ends when it ends in silence."""

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Tempo:
    """``quarters`` quarter notes per minute from ``tick`` on."""

    tick: int
    quarters: float


@dataclass(frozen=True)
class Metre:
    """A time signature, ``numerator``/``denominator``, from ``tick`` on."""

    tick: int
    numerator: int
    denominator: int


@dataclass(frozen=True)
class Key:
    """A key signature from ``tick`` on: ``sharps`` is negative for flats."""

    tick: int
    sharps: int
    minor: bool


@dataclass(frozen=True, eq=False)
class Track:
    """The notes of one part.

    Attributes:
        notes: Array of dtype ``NOTE``, shape (N,), sorted by start and pitch.
        program: General MIDI program, 0-127.
        is_drum: True for the percussion channel.
        name: The track's name, or the empty string.
    """

    notes: NDArray[Any]
    program: int = 0
    is_drum: bool = False
    name: str = ""


@dataclass(frozen=True, eq=False)
class Score:
    """A piece as notes in ticks.

    Attributes:
        ticks_per_quarter: Ticks in a quarter note.
        tracks: The parts.
        tempos: Tempo changes in order of time; empty means 120 quarters per minute.
        metres: Time signatures in order of time; empty means 4/4.
        keys: Key signatures in order of time; may be empty.
        end: Tick at which the music ends, silence included.
        title: Name of the piece, or the empty string.
    """

    ticks_per_quarter: int
    tracks: tuple[Track, ...]
    tempos: tuple[Tempo, ...] = ()
    metres: tuple[Metre, ...] = ()
    keys: tuple[Key, ...] = ()
    end: int = 0
    title: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        last = max((int(track.notes["end"].max()) for track in self.tracks if len(track.notes)), default=0)
        object.__setattr__(self, "end", max(self.end, last))

    @property
    def note_count(self) -> int:
        """Number of notes in all tracks, drums included."""
        return sum(len(track.notes) for track in self.tracks)

    @property
    def quarters(self) -> float:
        """Length in quarter notes."""
        return self.end / self.ticks_per_quarter

    def main_tempo(self) -> float | None:
        """Return the quarter notes per minute that hold longest, or None where the file says nothing."""
        held = self._held([(tempo.tick, tempo.quarters) for tempo in self.tempos])
        return round(float(max(held, key=lambda tempo: held[tempo])), 3) if held else None

    def main_metre(self) -> tuple[int, int] | None:
        """Return the time signature that holds longest, or None where the file says nothing."""
        held = self._held([(metre.tick, (metre.numerator, metre.denominator)) for metre in self.metres])
        return max(held, key=lambda metre: held[metre]) if held else None

    def _held(self, changes: Sequence[tuple[int, _Value]]) -> dict[_Value, int]:
        """Return for how many ticks each value holds."""
        held: dict[_Value, int] = {}
        ticks = [tick for tick, _ in changes[1:]] + [max(self.end, changes[-1][0])] if changes else []
        for (tick, value), until in zip(changes, ticks, strict=True):
            held[value] = held.get(value, 0) + until - tick
        return held

    def pitched(self) -> NDArray[Any]:
        """Return the notes of all tracks but drums as one array of dtype ``NOTE``."""
        parts = [track.notes for track in self.tracks if not track.is_drum]
        return np.concatenate(parts) if parts else np.zeros(0, NOTE)


def read_midi(source: Path | str | bytes, name: str | None = None) -> Score:
    """Read a Standard MIDI File of type 0 or 1.

    Args:
        source: A path, or the bytes of the file.
        name: What to call the file in errors, if not by its path.

    Returns:
        The score. Tracks without notes are left out.

    Raises:
        FileError: The file can't be read.
        MidiError: The bytes are no MIDI file that can be read; the error's ``reason`` says why in one word.
    """
    import symusic

    data = source if isinstance(source, bytes) else read_bytes(Path(source))
    name = name or ("the given bytes" if isinstance(source, bytes) else str(source))
    _check_bytes(data, name)
    try:
        parsed: Any = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError, IndexError) as error:
        raise MidiError(f"{name}: expected a readable MIDI file, found damage: {error}", "damaged") from error
    tracks = tuple(_read_track(track) for track in parsed.tracks if len(track.notes))
    if any(
        (track.notes["start"] < 0).any() or (track.notes["end"] < track.notes["start"]).any()
        for track in tracks
    ):
        raise MidiError(f"{name}: expected at most {2**31 - 1} ticks, found more", "damaged")
    return Score(
        ticks_per_quarter=parsed.ticks_per_quarter,
        tracks=tracks,
        tempos=tuple(Tempo(t.time, 6e7 / t.mspq) for t in parsed.tempos if t.mspq > 0),
        metres=tuple(
            Metre(m.time, m.numerator, m.denominator) for m in parsed.time_signatures if m.numerator > 0
        ),
        keys=tuple(Key(k.time, k.key, bool(k.tonality)) for k in parsed.key_signatures if -7 <= k.key <= 7),
        end=max((marker.time for marker in parsed.markers if marker.text == END_MARKER), default=0),
    )


def write_midi(score: Score, path: Path | str) -> None:
    """Write ``score`` as a Standard MIDI File of type 1, whole or not at all.

    Raises:
        FileError: The file can't be written.
    """
    write_bytes(Path(path), midi_bytes(score))


def midi_bytes(score: Score) -> bytes:
    """Return ``score`` as the bytes of a Standard MIDI File of type 1: a conductor track, then the parts."""
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=score.ticks_per_quarter, charset="utf-8")
    file.tracks.append(_deltas(_conductor_events(score), score.end))
    melodic = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    for index, track in enumerate(score.tracks):
        channel = DRUM_CHANNEL if track.is_drum else melodic[index % len(melodic)]
        file.tracks.append(_deltas(_track_events(track, channel), score.end))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def to_pretty_midi(score: Score) -> Any:
    """Return ``score`` as a ``pretty_midi.PrettyMIDI``, for its synthesiser and its users."""
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(score)))


def _check_bytes(data: bytes, name: str) -> None:
    """Refuse what no reader should be shown: the wrong format, and headers that lie."""
    if not data:
        raise MidiError(f"{name}: expected a MIDI file, found an empty file", "empty")
    if len(data) > MAX_FILE_BYTES:
        raise MidiError(f"{name}: expected at most {MAX_FILE_BYTES} bytes, found {len(data)}", "too-large")
    if not data.startswith(b"MThd"):
        raise MidiError(
            f"{name}: expected a MIDI file (MThd), found a file that starts {data[:4]!r}", "not-midi"
        )
    if len(data) < 14:
        raise MidiError(f"{name}: expected a MIDI header of 14 bytes, found {len(data)}", "truncated")
    kind, tracks, division = (int.from_bytes(data[i : i + 2], "big") for i in (8, 10, 12))
    if kind > 1:
        raise MidiError(f"{name}: expected MIDI type 0 or 1, found type {kind}", "type-2")
    if division == 0:
        raise MidiError(f"{name}: expected ticks per quarter note, found division 0", "division-0")
    if division & 0x8000:
        raise MidiError(f"{name}: expected ticks per quarter note, found an SMPTE division", "smpte")
    _check_chunks(data, tracks, name)


def _check_chunks(data: bytes, tracks: int, name: str) -> None:
    """Walk the chunk headers: every declared track has all its bytes."""
    offset, found = 8 + int.from_bytes(data[4:8], "big"), 0
    while found < tracks:
        if offset + 8 > len(data):
            raise MidiError(
                f"{name}: expected {tracks} tracks, found {found} before the file ends", "truncated"
            )
        length = int.from_bytes(data[offset + 4 : offset + 8], "big")
        present = len(data) - offset - 8
        if length > present:
            raise MidiError(
                f"{name}: expected {length} bytes in chunk {found + 1}, found {present} before the file ends",
                "truncated",
            )
        found += data[offset : offset + 4] == b"MTrk"
        offset += 8 + length


def _read_track(track: Any) -> Track:
    columns = track.notes.numpy()
    notes = np.empty(len(columns["time"]), NOTE)
    notes["start"] = columns["time"]
    notes["end"] = notes["start"] + columns["duration"]
    notes["pitch"] = columns["pitch"]
    notes["velocity"] = columns["velocity"]
    notes = notes[np.lexsort((notes["pitch"], notes["start"]))]
    return Track(notes, int(track.program), bool(track.is_drum), str(track.name))


def _conductor_events(score: Score) -> Iterator[tuple[int, int, Any]]:
    import mido

    if score.title:
        yield 0, 0, mido.MetaMessage("track_name", name=score.title)
    for tempo in score.tempos:
        yield tempo.tick, 1, mido.MetaMessage("set_tempo", tempo=round(6e7 / tempo.quarters))
    for metre in score.metres:
        message = mido.MetaMessage("time_signature", numerator=metre.numerator, denominator=metre.denominator)
        yield metre.tick, 1, message
    for key in score.keys:
        yield key.tick, 1, mido.MetaMessage("key_signature", key=key_name(key.sharps, key.minor))
    if all(score.end > track.notes["end"].max(initial=0) for track in score.tracks):
        yield score.end, 2, mido.MetaMessage("marker", text=END_MARKER)


def _track_events(track: Track, channel: int) -> Iterator[tuple[int, int, Any]]:
    import mido

    if track.name:
        yield 0, 0, mido.MetaMessage("track_name", name=track.name)
    yield 0, 1, mido.Message("program_change", channel=channel, program=track.program)
    for start, end, pitch, velocity in track.notes.tolist():
        yield start, 3, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)
        yield max(end, start + 1), 2, mido.Message("note_off", channel=channel, note=pitch, velocity=0)


def _deltas(events: Iterator[tuple[int, int, Any]], end: int) -> Any:
    """Sort events by tick (ends before starts) and give each the ticks since the one before."""
    import mido

    track, now = mido.MidiTrack(), 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - now)))
    return track


_FIFTHS = [
    "Cb",
    "Gb",
    "Db",
    "Ab",
    "Eb",
    "Bb",
    "F",
    "C",
    "G",
    "D",
    "A",
    "E",
    "B",
    "F#",
    "C#",
    "G#",
    "D#",
    "A#",
]


def key_name(sharps: int, minor: bool) -> str:
    """Return the name of a key signature as MIDI libraries write it: ``-3, True`` is ``Cm``."""
    return _FIFTHS[sharps + 7 + (3 if minor else 0)] + ("m" if minor else "")
