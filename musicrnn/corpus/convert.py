"""One source -> packed rolls, or the reason why it is skipped: what workers do with each source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.sources import Source
from musicrnn.corpus.store import pack_frames
from musicrnn.errors import MidiError, MusicRNNError, RollError, about
from musicrnn.music import Layout, PianoRoll, Score, read_score
from musicrnn.music.parts import select_parts, sustain
from musicrnn.music.pianoroll import MAX_FRAMES, on_grid, to_frames
from musicrnn.music.tonality import find_key, key_of_signature, semitones_to_c

MAX_PART_FRAMES = 4 * MAX_FRAMES
"""Most frames of all pieces that are made of the tracks of one file."""


@dataclass(frozen=True)
class Preparation:
    """How notes become rolls.

    Attributes:
        layout: What the rows and columns of the rolls mean.
        quantize: ``nearest`` or ``midpoint``.
        pedal: Whether the sustain pedal lengthens notes.
        tracks: Numbers or names of the tracks to take; none means all.
        programs: General MIDI programs to take; none means all.
        split_tracks: Whether every track becomes a piece of its own.
        transpose_to_c: Whether pieces are moved to C major or C minor.
        trim: Whether silence at the ends is cut off.
        min_frames: Shorter pieces are left out.
        max_frames: Longer pieces are cut into pieces of this many frames.
    """

    layout: Layout = field(default_factory=Layout)
    quantize: str = "nearest"
    pedal: bool = False
    tracks: tuple[str, ...] = ()
    programs: tuple[int, ...] = ()
    split_tracks: bool = False
    transpose_to_c: bool = False
    trim: bool = True
    min_frames: int = 1
    max_frames: int | None = None


@dataclass(frozen=True)
class Part:
    """A piece before it is cut at ``max_frames``.

    ``content`` is a hash of it, the same for a transposed copy, 16 bytes; ``lowest`` its lowest column with a
    note; ``rolls`` its packed frames, cut into pieces.
    """

    name: str
    content: bytes
    lowest: int
    rolls: tuple[bytes, ...]


@dataclass(frozen=True)
class Converted:
    """A source as packed frames, or the reason why there are none; see also ``store.PieceFacts``.

    Attributes:
        name: Its name in reports.
        split: The split that the source puts it in, or None.
        parts: Its pieces; none if it was skipped.
        reason: A short code for why it was skipped, or None.
        detail: That reason as text.
        facts: Further facts for the report, as JSON values.
    """

    name: str
    split: str | None = None
    parts: tuple[Part, ...] = ()
    reason: str | None = None
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    sha256: str | None = None
    tempo: float | None = None
    metre: tuple[int, int] | None = None


def convert(source: Source, preparation: Preparation) -> Converted:
    """Read one source and pack its rolls; an error becomes its reason."""
    try:
        if source.refusal is not None:
            raise MidiError(*source.refusal)
        if source.roll is not None:
            return Converted(source.name, source.split, tuple(_cut(source.name, source.roll, preparation)))
        return _convert_music(source, preparation)
    except MusicRNNError as error:
        return Converted(source.name, source.split, reason=error.reason, detail=str(error))


def _convert_music(source: Source, preparation: Preparation) -> Converted:
    content = source.read()
    score = read_score(content, source.path)
    facts: dict[str, Any] = {"reader": score.reader}
    _count(facts, "hanging_notes", score.hanging)
    if not score.note_count:
        raise MidiError(f"{source.path}: expected notes, found none", "no-notes")
    semitones = 0
    if preparation.transpose_to_c:
        key = key_of_signature(score.keys[0]) if score.keys else find_key(score)
        semitones = semitones_to_c(key) if key else 0
    _count(facts, "transposed", semitones)
    with about(source.path):
        parts = tuple(_parts(source.name, score, semitones, preparation, facts))
    tempo = preparation.layout.tempo or score.main_tempo()
    sha256 = hashlib.sha256(content).hexdigest()
    return Converted(source.name, source.split, parts, None, "", facts, sha256, tempo, score.main_metre())


def _parts(
    name: str, score: Score, semitones: int, preparation: Preparation, facts: dict[str, Any]
) -> Iterator[Part]:
    """Yield the pieces of a score; where its tracks are pieces, an error skips only that track."""
    if preparation.pedal:
        score = sustain(score)
    if not preparation.split_tracks:
        taken = select_parts(score, preparation.tracks, preparation.programs)
        yield from _cut(name, _roll(taken, semitones, preparation, facts), preparation)
        return
    refusal: RollError | None = None
    found, frames = False, 0
    for number in range(1, len(score.tracks) + 1):
        alone = select_parts(score, preparation.tracks, preparation.programs, only=number)
        try:
            roll = _roll(alone, semitones, preparation, facts)
            frames += len(roll)
            yield from _cut(f"{name}#{number}", roll, preparation)
            found = True
        except RollError as error:
            refusal = refusal or error
        if frames > MAX_PART_FRAMES:
            raise RollError(f"expected at most {MAX_PART_FRAMES} frames in all, found more", "too-long")
    if refusal and not found:
        raise refusal


def _roll(score: Score, semitones: int, preparation: Preparation, facts: dict[str, Any]) -> PianoRoll:
    """Return the notes of a score on the grid; count in ``facts`` those that are lost."""
    layout = preparation.layout
    notes = on_grid(score, layout, preparation.quantize)
    if not len(notes):
        vanished = "none long enough for a frame's middle" if len(score.pitched()) else "only drums"
        found = vanished if score.note_count else "none in the tracks and programs chosen"
        raise RollError(f"expected notes, found {found}", "no-notes")
    if preparation.quantize != "nearest":
        _count(facts, "notes_vanished", len(score.pitched()) - len(notes))
    pitch = notes["pitch"].astype(np.int64) + semitones
    inside = (pitch >= layout.low) & (pitch <= layout.high)
    if not inside.all():
        _count(facts, "notes_out_of_range", len(notes) - int(np.count_nonzero(inside)))
        notes, pitch = notes[inside], pitch[inside]
    if not len(notes):
        raise RollError(f"expected notes in {layout.low}:{layout.high}, found none", "no-notes")
    notes["pitch"] = pitch
    end = int(notes["end"].max())
    if preparation.trim:
        first = int(notes["start"].min())
        notes["start"] -= first
        notes["end"] -= first
        end -= first
    else:
        end = max(end, int(to_frames(score, np.array([score.end]), layout, preparation.quantize)[0]))
    roll = PianoRoll.from_notes(notes, end, layout)
    if layout.has_onsets:
        _count(facts, "notes_merged", len(notes) - int(np.count_nonzero(roll.onsets)))
    return roll


def _cut(name: str, roll: PianoRoll, preparation: Preparation) -> Iterator[Part]:
    """Yield a roll as a piece, cut if it is too long; rolls and rests that are too short are left out."""
    longest = preparation.max_frames or len(roll)
    starts = [start for start in range(0, len(roll), longest) if len(roll) - start >= preparation.min_frames]
    if not starts:
        raise RollError(f"expected at least {preparation.min_frames} frames, found {len(roll)}", "too-short")
    rolls = [roll]
    if longest < len(roll):
        rolls = [PianoRoll(roll.frames[start : start + longest], roll.layout) for start in starts]
    yield Part(name, *fingerprint(roll), tuple(pack_frames(each.frames).tobytes() for each in rolls))


def fingerprint(roll: PianoRoll) -> tuple[bytes, int]:
    """Return a hash of a roll without silence at its ends, and its lowest column with a note.

    The hash counts pitches from the lowest, so a transposed copy has the same.
    """
    used = np.flatnonzero(np.bitwise_or.reduce(roll.frames, axis=0)[: roll.layout.pitches])
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    frames = roll.frames
    if len(used) and not (frames[0].any() and frames[-1].any()):
        rows = np.flatnonzero(frames.any(axis=1))
        frames = frames[rows[0] : rows[-1] + 1]
    return digest(frames, first, last, roll.layout), first


def digest(frames: NDArray[np.uint8], first: int, last: int, layout: Layout) -> bytes:
    """Return the hash of frames, shape (T, D), whose notes are in the columns from ``first`` to ``last``."""
    found = hashlib.blake2b(b"%d %d " % (len(frames), last - first), digest_size=16)
    for channel in range(0, layout.width, layout.pitches):
        found.update(np.packbits(frames[:, channel + first : channel + last]).data)
    return found.digest()


def _count(facts: dict[str, Any], name: str, count: int) -> None:
    if count:
        facts[name] = facts.get(name, 0) + count
