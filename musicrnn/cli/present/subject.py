"""What ``show`` shows: pieces of music, corpora and models, as JSON values, text and plots."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS, music_source
from musicrnn.cli.present import page, runs
from musicrnn.cli.present.runs import Run
from musicrnn.cli.present.text import count
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.summary import summarize
from musicrnn.errors import FileError, UsageError, about
from musicrnn.music import PianoRoll, Score, Track, read_score, to_pianoroll
from musicrnn.music.midi import read_file
from musicrnn.music.notation import split_tunes, suffix_of
from musicrnn.music.statistics import RollCounts
from musicrnn.music.tonality import find_key, key_of_signature
from musicrnn.plots.corpus import plot_corpus
from musicrnn.plots.rolls import plot_rolls
from musicrnn.plots.terminal import roll_text

PAGE_QUARTERS = 128.0
"""Quarter notes of a piece that the picture of a corpus shows."""


@dataclass(frozen=True)
class MusicFile:
    """A piece of music from a file: its notes, and its piano roll over all 128 pitches."""

    path: Path
    score: Score
    roll: PianoRoll


Subject: TypeAlias = Corpus | Run | MusicFile


def open_subject(path: Path, resolution: int) -> Subject:
    """Open a corpus, a model, or else a piece: MIDI (``-``: stdin) or the first of a MusicXML or ABC file.

    Raises:
        MusicRNNError: It can't be read, or holds nothing.
    """
    if path == CORPUS or (path / "corpus.json").exists():
        return open_corpus(path)
    if runs.is_run(path):
        return runs.read_run(path)
    if path.is_dir():
        raise FileError(
            f"{path}: expected a MIDI file, a corpus or a model; this folder is neither a corpus nor a model"
        )
    source, name = music_source(path)
    if suffix_of(name) == ".abc" and (tunes := len(split_tunes(read_file(path)))) > 1:
        console.note(f"{path}: the first of {tunes} tunes")
    score = read_score(source, name)
    with about(name):
        return MusicFile(path, score, to_pianoroll(score, resolution, (0, 127)))


def document(subject: Subject) -> dict[str, Any]:
    """Return facts and statistics about a subject as JSON values."""
    if isinstance(subject, Run):
        return subject.document()
    if isinstance(subject, Corpus):
        summary = summarize(subject, lambda rows: console.track(rows, len(rows), "counting", "pieces"))
        return {"kind": "corpus", "file": str(subject.directory), **summary}
    score, roll, key = subject.score, subject.roll, find_key(subject.score)
    counts = RollCounts(roll.layout, [roll])
    return {
        "kind": "notation" if score.reader == "music21" else "midi",
        "file": str(subject.path),
        "tracks": len(score.tracks),
        "track_list": [_describe(number, track) for number, track in enumerate(score.tracks, 1)],
        "tempo": score.main_tempo(),
        "metre": list(score.main_metre() or ()) or None,
        "key": key.name if key else None,
        "key_signature": key_of_signature(score.keys[0]).name if score.keys else None,
        "resolution": roll.layout.resolution,
        "seconds": float(score.seconds(np.array([score.end]))[0]),
        "reader": score.reader,
        "hanging_notes": score.hanging,
        **asdict(counts.statistics()),
        **counts.histograms(),
    }


def text(subject: Subject, quarters: float | None) -> str:
    """Return the page for the terminal, with the roll of a piece, or of a corpus's first, below it."""
    facts = page.page(document(subject))
    if isinstance(subject, Run):
        return facts
    characters = roll_text(_first_roll(subject, quarters), min(100, shutil.get_terminal_size().columns))
    title = f"{subject.pieces[0].name}\n" if isinstance(subject, Corpus) else ""
    return f"{facts}\n\n{title}{characters}"


def plot(subjects: Sequence[Subject], output: Path, quarters: float | None) -> None:
    """Plot the learning curves of models, a corpus, or the beginnings of pieces and corpora.

    Raises:
        UsageError: There are models among music.
        FileError: The picture can't be written.
    """
    models = [subject for subject in subjects if isinstance(subject, Run)]
    music = [subject for subject in subjects if not isinstance(subject, Run)]
    if models and music:
        raise UsageError("show: expected models, or MIDI files and corpora, in one picture; found both")
    if models:
        runs.plot(models, output)
    elif len(music) == 1 and isinstance(music[0], Corpus):
        _plot_corpus(music[0], output, quarters or PAGE_QUARTERS)
    else:
        paths = [subject.directory if isinstance(subject, Corpus) else subject.path for subject in music]
        rolls = [_first_roll(subject, quarters) for subject in music]
        plot_rolls([(path.name, roll) for path, roll in zip(paths, rolls, strict=True)], output)


def _plot_corpus(corpus: Corpus, output: Path, quarters: float) -> None:
    found, roll, name = document(corpus), _first_roll(corpus, quarters), corpus.pieces[0].name
    seconds = corpus.layout.frame_seconds
    plot_corpus(
        found,
        (name if len(roll) == corpus.index["frames"][0] else f"{name}, the beginning", roll),
        {name: split.lengths * (seconds or 1 / corpus.layout.resolution) for name, split in corpus.items()},
        output,
        title=f"{found['name']}: {count(found['pieces'], 'piece')}, {found['frames']:,} frames",
        caption=(
            f"{corpus.layout}. Playing time: {page.playing_time(found)}.",
            f"Duplicates: {page.duplicates(found)}. Skipped: {page.skipped(found)}.",
        ),
        unit="seconds" if seconds else "quarter notes",
    )


def _first_roll(subject: Corpus | MusicFile, quarters: float | None) -> PianoRoll:
    """Return the beginning of a piece, or of the first piece of a corpus."""
    roll = subject.roll(0) if isinstance(subject, Corpus) else subject.roll
    frames = len(roll) if quarters is None else max(1, round(quarters * roll.layout.resolution))
    return PianoRoll(roll.frames[:frames], roll.layout)


def _describe(number: int, track: Track) -> dict[str, Any]:
    """Return facts about a track with notes, by the number that ``prepare --tracks`` takes."""
    return {
        "number": number,
        "name": track.name,
        "program": track.program,
        "drums": track.is_drum,
        "notes": len(track.notes),
        "lowest_pitch": int(track.notes["pitch"].min()),
        "highest_pitch": int(track.notes["pitch"].max()),
    }
