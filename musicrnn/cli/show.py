"""``musicrnn show``: what a piece, a corpus or a model is, in the terminal or as a picture."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag
from musicrnn.cli.options import CORPUS
from musicrnn.errors import FileError, UsageError

if TYPE_CHECKING:
    from musicrnn.cli.present.pieces import Piece
    from musicrnn.cli.present.runs import Run
    from musicrnn.corpus import Corpus
    from musicrnn.music import PianoRoll

PAGE_QUARTERS = 128.0
"""Quarter notes of a piece that the picture of a corpus shows."""


@dataclass(frozen=True)
class ShowFlags:
    """Options."""

    output: Path | None = flag(None, "Write a picture instead: .png, .svg or .pdf.", "--output", "-o")
    resolution: int = flag(4, "Frames per quarter note of MIDI files.")
    quarters: float | None = flag(None, "Show only this many quarter notes of a piano roll.")


def show(
    files: Annotated[
        list[Path] | None,
        argument(
            "FILE…", f"MIDI files, MusicXML and ABC (with music21), corpora or models. [default: {CORPUS}]"
        ),
    ] = None,
    *,
    flags: ShowFlags,
) -> None:
    """Show MIDI files, corpora and models: statistics and piano rolls, or learning curves.

    Several models are compared in a table, or with --output in one picture.
    """
    if flags.quarters is not None and not 0 < flags.quarters < 1e9:
        raise UsageError(f"--quarters: expected a length above 0 and below 1e9, found {flags.quarters}")
    from musicrnn.cli.present.runs import compare, is_run, read_run

    paths = files or [CORPUS]
    if flags.output is not None:
        _plot([_open(path, flags.resolution) for path in paths], flags.output, flags.quarters)
        console.report({"file": str(flags.output)}, [str(flags.output)])
    elif console.wants_json():
        documents = [_document(_open(path, flags.resolution)) for path in paths]
        console.report(documents[0] if len(documents) == 1 else documents, ())
    elif len(paths) > 1 and all(map(is_run, paths)):
        console.result(compare([read_run(path) for path in paths]))
    else:
        for path in paths:
            console.result(_page(_open(path, flags.resolution), flags.quarters))


def _open(path: Path, resolution: int) -> Corpus | Run | Piece:
    """Return the corpus, the model or else the piece at a path."""
    from musicrnn.cli.present.runs import is_run, read_run

    if path == CORPUS or (path / "corpus.json").exists():
        from musicrnn.corpus import open_corpus

        return open_corpus(path)
    if is_run(path):
        return read_run(path)
    if path.is_dir():
        raise FileError(
            f"{path}: expected a MIDI file, a corpus or a model; this folder is neither a corpus nor a model"
        )
    from musicrnn.cli.present.pieces import read_piece

    return read_piece(path, resolution)


def _document(subject: Corpus | Run | Piece) -> dict[str, Any]:
    """Return facts and statistics about the subject as JSON values."""
    from musicrnn.corpus import Corpus
    from musicrnn.corpus.summary import summarize

    if not isinstance(subject, Corpus):
        return subject.document()
    summary = summarize(subject, lambda rows: console.track(rows, len(rows), "counting", "pieces"))
    return {"kind": "corpus", "file": str(subject.directory), **summary.as_dict()}


def _page(subject: Corpus | Run | Piece, quarters: float | None) -> str:
    """Return the page for the terminal, with the roll of a piece, or of a corpus's first, below it."""
    from musicrnn.cli.present.page import page
    from musicrnn.cli.present.runs import Run
    from musicrnn.corpus import Corpus
    from musicrnn.plots.terminal import roll_text

    facts = page(_document(subject))
    if isinstance(subject, Run):
        return facts
    roll = _first_roll(subject, quarters)
    characters = roll_text(roll, min(100, shutil.get_terminal_size().columns))
    title = f"{subject.pieces[0].name}\n" if isinstance(subject, Corpus) else ""
    return f"{facts}\n\n{title}{characters}"


def _plot(subjects: list[Corpus | Run | Piece], output: Path, quarters: float | None) -> None:
    from musicrnn.cli.present.runs import Run, plot
    from musicrnn.corpus import Corpus
    from musicrnn.plots.rolls import plot_rolls

    models = [subject for subject in subjects if isinstance(subject, Run)]
    music = [subject for subject in subjects if not isinstance(subject, Run)]
    if models and music:
        raise UsageError("show: expected models, or MIDI files and corpora, in one picture; found both")
    if models:
        plot(models, output)
    elif len(music) == 1 and isinstance(music[0], Corpus):
        _plot_corpus(music[0], output, quarters)
    else:
        paths = [subject.directory if isinstance(subject, Corpus) else subject.path for subject in music]
        rolls = [_first_roll(subject, quarters) for subject in music]
        plot_rolls([(path.name, roll) for path, roll in zip(paths, rolls, strict=True)], output)


def _plot_corpus(corpus: Corpus, output: Path, quarters: float | None) -> None:
    """Plot the page of a corpus."""
    from musicrnn.cli.present import page, text
    from musicrnn.plots.corpus import plot_corpus

    document = _document(corpus)
    seconds = corpus.layout.frame_seconds
    roll = _first_roll(corpus, quarters or PAGE_QUARTERS)
    whole = len(roll) == corpus.index["frames"][0]
    plot_corpus(
        document,
        (corpus.pieces[0].name if whole else f"{corpus.pieces[0].name}, the beginning", roll),
        {name: split.lengths * (seconds or 1 / corpus.layout.resolution) for name, split in corpus.items()},
        output,
        title=f"{document['name']}: {text.count(document['pieces'], 'piece')}, {document['frames']:,} frames",
        caption=(
            f"{corpus.layout}. Playing time: {page.playing_time(document)}.",
            f"Duplicates: {page.duplicates(document)}. Skipped: {page.skipped(document)}.",
        ),
        unit="seconds" if seconds else "quarter notes",
    )


def _first_roll(subject: Corpus | Piece, quarters: float | None) -> PianoRoll:
    """Return the beginning of a piece, or of the first piece of a corpus."""
    from musicrnn.corpus import Corpus
    from musicrnn.music import PianoRoll

    roll = subject.roll(0) if isinstance(subject, Corpus) else subject.roll
    frames = len(roll) if quarters is None else max(1, round(quarters * roll.layout.resolution))
    return PianoRoll(roll.frames[:frames], roll.layout)
