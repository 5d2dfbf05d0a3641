"""Score -> MIDI file, by mido, which writes exact ticks.

References:
    MIDI Manufacturers Association, Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from musicrnn.files import write_bytes
from musicrnn.music.score import Score, Track, key_name

DRUM_CHANNEL = 9
END_MARKER = "end"
"""Text of the marker at the end of music that ends in silence."""


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
    """Return ``score`` as a ``pretty_midi.PrettyMIDI``, for its synthesiser."""
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(score)))


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
    """Return a track of the events, sorted by tick (ends before starts), with delta times."""
    import mido

    track, now = mido.MidiTrack(), 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - now)))
    return track
