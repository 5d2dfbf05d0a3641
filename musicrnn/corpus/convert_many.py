"""Many sources at once: a fast version of ``convert`` with the same results.

For a small piece, calling numpy takes longer than computing. So the notes of many files are put on the grid
together, as if the pieces followed each other, and are cut apart again. Unusual files and preparations are
left to ``convert``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicrnn.corpus.convert import Converted, Part, Preparation, convert, digest
from musicrnn.corpus.sources import Source
from musicrnn.corpus.store import pack_frames, row_bytes
from musicrnn.errors import MusicRNNError
from musicrnn.music import Layout, PianoRoll, Score
from musicrnn.music.midi.reading import HANGING, Columns, read_columns
from musicrnn.music.notation import SUFFIXES, suffix_of
from musicrnn.music.pianoroll import quantized
from musicrnn.music.score import NOTE

BATCH = 16  # sources that are converted together
LONGEST = 4096
"""Most frames of a piece that is converted with others; a longer one doesn't gain from it."""


class _ParsedFile(NamedTuple):
    """A file that may be converted with others: position, checksum, score without tracks, notes."""

    position: int
    sha256: str
    score: Score
    tracks: Columns


def convert_many(sources: Sequence[Source], preparation: Preparation) -> list[Converted]:
    """Return ``[convert(source, preparation) for source in sources]``."""
    found: dict[int, Converted] = {}
    usual = Preparation(preparation.layout, min_frames=preparation.min_frames)
    if preparation.layout.frame_seconds is None and replace(preparation, max_frames=None) == usual:
        parsed = [file for file in map(_parse, range(len(sources)), sources) if file is not None]
        if len(parsed) > 1:
            found = dict(_convert_parsed(parsed, sources, preparation))
    return [found.get(place) or convert(source, preparation) for place, source in enumerate(sources)]


def _parse(position: int, source: Source) -> _ParsedFile | None:
    if source.refusal or source.roll or suffix_of(source.name) in SUFFIXES:
        return None
    try:
        content = source.read()
        found = read_columns(content)
    except MusicRNNError:
        return None
    if found is None or not found[1]:
        return None
    return _ParsedFile(position, hashlib.sha256(content).hexdigest(), *found)


class _Notes(NamedTuple):
    """Notes in the pitch range, without drums: file number (ascending), ticks, MIDI pitch, shape (N,)."""

    file: NDArray[Any]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[Any]

    def of(self, kept: NDArray[np.bool_]) -> _Notes:
        """Return the notes that are ``kept``."""
        return _Notes(*(column[kept] for column in self))


class _FileFacts(NamedTuple):
    """Facts about each file, shape (F,).

    ``end`` is the tick at which its last note ends, drums included; ``outside`` its number of notes outside
    the pitch range; it is ``ordinary`` if it has notes in the range and all its notes end.
    """

    end: NDArray[np.int64]
    outside: NDArray[np.int64]
    ordinary: NDArray[np.bool_]


def _convert_parsed(
    parsed: list[_ParsedFile], sources: Sequence[Source], preparation: Preparation
) -> Iterator[tuple[int, Converted]]:
    """Yield positions and results of the ordinary files."""
    layout = preparation.layout
    notes, files = _join(parsed, layout)
    lengths, notes = _on_grid(notes, parsed, files.ordinary, layout)
    longest = min(LONGEST, preparation.max_frames or LONGEST)
    fits = (lengths >= preparation.min_frames) & (lengths <= longest)
    bases = np.append(0, np.cumsum(np.where(fits, lengths, 0)))
    notes = notes.of(fits[notes.file])
    if not len(notes.file):
        return
    records = np.empty(len(notes.file), NOTE)
    records["start"], records["end"] = notes.start + bases[notes.file], notes.end + bases[notes.file]
    records["pitch"] = notes.pitch
    roll = PianoRoll.from_notes(records, int(bases[-1]), layout)
    packed, width = pack_frames(roll.frames), row_bytes(layout)
    content, merged = packed.tobytes(), _merged(records, notes.file, len(parsed), layout)
    used = np.bitwise_or.reduceat(packed, bases[:-1][fits], axis=0)
    columns = iter(np.unpackbits(used, axis=1, count=layout.pitches))
    for index in np.flatnonzero(fits).tolist():
        file, begin, end = parsed[index], int(bases[index]), int(bases[index + 1])
        source, sounding = sources[file.position], np.flatnonzero(next(columns))
        first, last = int(sounding[0]), int(sounding[-1]) + 1
        facts: dict[str, Any] = {"reader": "symusic"}
        for name, counts in (("notes_out_of_range", files.outside), ("notes_merged", merged)):
            if counts[index]:
                facts[name] = int(counts[index])
        rows = (content[begin * width : end * width],)
        parts = (Part(source.name, digest(roll.frames[begin:end], first, last, layout), first, rows),)
        score = replace(file.score, end=max(file.score.end, int(files.end[index])))
        times = score.main_tempo(), score.main_metre()
        yield file.position, Converted(source.name, source.split, parts, None, "", facts, file.sha256, *times)


def _join(parsed: list[_ParsedFile], layout: Layout) -> tuple[_Notes, _FileFacts]:
    """Return the notes of all files, and facts about the files."""
    tracks = [(number, *track) for number, file in enumerate(parsed) for track in file.tracks]
    sizes = [len(columns["time"]) for _, _, columns in tracks]
    start, duration, pitch = (
        np.concatenate([columns[name] for _, _, columns in tracks]).astype(np.int64)
        for name in ("time", "duration", "pitch")
    )
    file = np.repeat([number for number, _, _ in tracks], sizes)
    pitched = np.repeat([not is_drum for _, is_drum, _ in tracks], sizes)
    end, count = start + duration, len(parsed)
    begins = np.append(0, np.cumsum(np.bincount(file, minlength=count))[:-1])
    odd = (start < 0) | (duration < 0) | (end >= HANGING)
    inside = pitched & (pitch >= layout.low) & (pitch <= layout.high)
    ordinary = np.bincount(file[inside], minlength=count) > 0
    ordinary[file[odd]] = False
    outside = np.bincount(file[pitched & ~inside], minlength=count)
    notes = _Notes(file, start, end, pitch).of(inside & ordinary[file])
    return notes, _FileFacts(np.maximum.reduceat(end, begins), outside, ordinary)


def _on_grid(
    notes: _Notes, parsed: list[_ParsedFile], ordinary: NDArray[np.bool_], layout: Layout
) -> tuple[NDArray[np.int64], _Notes]:
    """Return the frames of each file, 0 where it isn't ordinary, and the notes in frames from 0."""
    lengths = np.zeros(len(parsed), np.int64)
    if not len(notes.file):
        return lengths, notes
    per_quarter = np.array([file.score.ticks_per_quarter for file in parsed])[notes.file]
    start = quantized(notes.start, per_quarter, layout.resolution)
    end = np.maximum(quantized(notes.end, per_quarter, layout.resolution), start + 1)
    begins = np.flatnonzero(np.diff(notes.file, prepend=-1))
    first = np.zeros(len(parsed), np.int64)
    first[ordinary] = np.minimum.reduceat(start, begins)
    lengths[ordinary] = np.maximum.reduceat(end, begins) - first[ordinary]
    first = first[notes.file]
    return lengths, notes._replace(start=start - first, end=end - first)


def _merged(records: NDArray[Any], file: NDArray[Any], count: int, layout: Layout) -> NDArray[np.int64]:
    """Return how many notes of each file share their onset with another, shape (F,)."""
    if not layout.has_onsets:
        return np.zeros(count, np.int64)
    _, first = np.unique(records["start"] * 128 + records["pitch"], return_index=True)
    return np.asarray(np.bincount(file, minlength=count) - np.bincount(file[first], minlength=count))
