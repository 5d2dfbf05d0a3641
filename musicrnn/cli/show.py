"""``musicrnn show``: what a piece, a corpus or a model is, in the terminal or as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS
from musicrnn.cli.present import runs
from musicrnn.cli.present.runs import Run
from musicrnn.errors import FileError, UsageError

if TYPE_CHECKING:
    from musicrnn.corpus import Corpus
    from musicrnn.music import PianoRoll, Score, Track

PAGE_QUARTERS = 128.0
"""Quarter notes of a piece that the picture of a corpus shows."""


def show(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE…",
            help=f"MIDI files, MusicXML and ABC (with music21), corpora or models. [default: {CORPUS}]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a picture instead: .png, .svg or .pdf."),
    ] = None,
    resolution: Annotated[int, typer.Option(help="Frames per quarter note of MIDI files.")] = 4,
    quarters: Annotated[
        float | None, typer.Option(help="Plot only the first quarter notes, this many.")
    ] = None,
) -> None:
    """Show MIDI files, corpora and models: statistics and piano rolls, or learning curves.

    Several models are compared in a table, or with --output in one picture.
    """
    if quarters is not None and not 0 < quarters < 1e9:
        raise UsageError(f"--quarters: expected a length above 0 and below 1e9, found {quarters}")
    paths = files or [CORPUS]
    if output is not None:
        _draw([_open(path, resolution) for path in paths], output, quarters)
        console.report({"file": str(output)}, [str(output)])
    elif console.wants_json():
        documents = [_describe(_open(path, resolution)) for path in paths]
        console.report(documents[0] if len(documents) == 1 else documents, ())
    elif len(paths) > 1 and all(map(runs.is_run, paths)):
        console.result(runs.compare([runs.read_run(path) for path in paths]))
    else:
        for path in paths:
            console.result(_page(_open(path, resolution), quarters))


@dataclass(frozen=True)
class _Piece:
    kind: str
    path: Path
    score: Score
    roll: PianoRoll


def _open(path: Path, resolution: int) -> Corpus | Run | _Piece:
    """Return what a path stands for: a corpus, a model, or else a piece."""
    from musicrnn.errors import about
    from musicrnn.music import to_pianoroll

    if path == CORPUS or (path / "corpus.json").exists():
        from musicrnn.corpus import open_corpus

        return open_corpus(path)
    if runs.is_run(path):
        return runs.read_run(path)
    if path.is_dir():
        raise FileError(f"{path}: expected a MIDI file, a corpus or a model, found another kind of folder")
    kind, name, score = _read(path)
    with about(name):
        return _Piece(kind, path, score, to_pianoroll(score, resolution, (0, 127)))


def _read(path: Path) -> tuple[str, str, Score]:
    """Return the kind of a file, its name in messages, and the piece that it holds."""
    import sys
    from dataclasses import replace

    from musicrnn.corpus import Source
    from musicrnn.music import read_midi
    from musicrnn.music.notation import SUFFIXES, read_notation

    if str(path) == "-":
        return "midi", "stdin", read_midi(sys.stdin.buffer.read(), "stdin")
    if path.suffix.lower() not in SUFFIXES:
        return "midi", str(path), read_midi(path)
    tunes = Source(path.name, str(path)).tunes()
    first = next(tunes)
    if more := sum(1 for _ in tunes):
        console.note(f"{path}: the first of {more + 1} tunes")
    score = read_notation(first.read(), path.suffix.lower(), first.path)
    return "notation", first.path, replace(score, reader="music21")


def _describe(subject: Corpus | Run | _Piece) -> dict[str, Any]:
    """Return facts and statistics about what is shown, as JSON values."""
    if isinstance(subject, Run):
        return subject.document()
    if isinstance(subject, _Piece):
        return {"kind": subject.kind, "file": str(subject.path), **_describe_piece(subject)}
    from musicrnn.corpus.summary import summarize

    return {"kind": "corpus", "file": str(subject.directory), **summarize(subject, _track).as_dict()}


def _track(rows: range) -> Iterable[int]:
    """Yield the numbers of a corpus's pieces, with a progress bar on a terminal."""
    return console.track(rows, len(rows), "counting", "pieces")


def _describe_piece(piece: _Piece) -> dict[str, Any]:
    import numpy as np

    from musicrnn.music.statistics import RollCounts
    from musicrnn.music.tonality import key_of_signature

    score, roll = piece.score, piece.roll
    counts = RollCounts(roll.layout)
    counts.add(roll)
    return {
        "tracks": len(score.tracks),
        "track_list": [_describe_track(number, track) for number, track in enumerate(score.tracks, 1)],
        "tempo": score.main_tempo(),
        "metre": list(score.main_metre() or ()) or None,
        "key": _key(score),
        "key_signature": key_of_signature(score.keys[0]).name if score.keys else None,
        "resolution": roll.layout.resolution,
        "seconds": float(score.seconds(np.array([score.end]))[0]),
        "reader": score.reader,
        "hanging_notes": score.hanging,
        **counts.statistics().as_dict(),
        **counts.histograms(),
    }


def _describe_track(number: int, track: Track) -> dict[str, Any]:
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


def _key(score: Score) -> str | None:
    """Return the name of the key, or None where nothing sounds or no key is likelier than another."""
    from musicrnn.errors import RollError
    from musicrnn.music.tonality import find_key

    try:
        return find_key(score).name
    except RollError:
        return None


def _draw(subjects: list[Corpus | Run | _Piece], output: Path, quarters: float | None) -> None:
    from musicrnn.music.draw import draw_rolls

    models = [subject for subject in subjects if isinstance(subject, Run)]
    music = [subject for subject in subjects if not isinstance(subject, Run)]
    if models and music:
        raise UsageError("show: expected models, or MIDI files and corpora, in one picture; found both")
    if models:
        runs.draw(models, output)
    elif len(music) == 1 and not isinstance(music[0], _Piece):
        _draw_corpus(music[0], output, quarters)
    else:
        draw_rolls([(_name(subject), _first_roll(subject, quarters)) for subject in music], output)


def _name(subject: Corpus | _Piece) -> str:
    return subject.path.name if isinstance(subject, _Piece) else subject.directory.name


def _draw_corpus(corpus: Corpus, output: Path, quarters: float | None) -> None:
    """Draw the page of a corpus."""
    from musicrnn.cli.present import page
    from musicrnn.music.charts import Overview, draw_overview

    document = _describe(corpus)
    seconds = corpus.layout.frame_seconds
    roll = _first_roll(corpus, quarters or PAGE_QUARTERS)
    whole = len(roll) == corpus.index["frames"][0]
    overview = Overview(
        title=f"{document['name']}: {page.count(document['pieces'], 'piece')}, {document['frames']:,} frames",
        caption=(
            f"{corpus.layout}. Playing time: {page.playing_time(document)}.",
            f"Duplicates: {page.duplicates(document)}. Skipped: {page.skipped(document)}.",
        ),
        roll=(corpus.pieces[0].name if whole else f"{corpus.pieces[0].name}, the beginning", roll),
        pitches={int(pitch): frames for pitch, frames in document["pitch_histogram"].items()},
        voices=list(document["polyphony_histogram"].values()),
        keys=document["keys"],
        metres=document["metres"],
        lengths={
            name: split.lengths * (seconds or 1 / corpus.layout.resolution) for name, split in corpus.items()
        },
        unit="seconds" if seconds else "quarter notes",
    )
    draw_overview(overview, output)


def _first_roll(subject: Corpus | _Piece, quarters: float | None) -> PianoRoll:
    """Return the beginning of a piece, or of the first piece of a corpus."""
    from musicrnn.music import PianoRoll

    roll = subject.roll if isinstance(subject, _Piece) else subject.roll(0)
    frames = len(roll) if quarters is None else max(1, round(quarters * roll.layout.resolution))
    return PianoRoll(roll.frames[:frames], roll.layout)


def _page(subject: Corpus | Run | _Piece, quarters: float | None) -> str:
    """Return the page for the terminal, with the roll of a piece, or of a corpus's first, below it."""
    import shutil

    from musicrnn.cli.present.page import page
    from musicrnn.music.terminal import terminal_roll

    facts = page(_describe(subject))
    if isinstance(subject, Run):
        return facts
    roll = _first_roll(subject, quarters)
    drawing = terminal_roll(roll, min(100, shutil.get_terminal_size().columns))
    title = "" if isinstance(subject, _Piece) else f"{subject.pieces[0].name}\n"
    return f"{facts}\n\n{title}{drawing}"
