"""``musicrnn show``: what a piece, a corpus or a model is, in the terminal or as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag, require
from musicrnn.cli.options import CORPUS

_FILES = f"MIDI files, MusicXML and ABC (with music21), corpora or models. [default: {CORPUS}]"


@dataclass(frozen=True)
class ShowFlags:
    """Options."""

    output: Path | None = flag(None, "Write a picture instead: .png, .svg or .pdf.", "--output", "-o")
    resolution: int = flag(4, "Frames per quarter note of MIDI files.")
    quarters: float | None = flag(None, "Show only this many quarter notes of a piano roll.")


def show(files: Annotated[list[Path] | None, argument("FILE…", _FILES)] = None, *, flags: ShowFlags) -> None:
    """Show MIDI files, corpora and models: statistics and piano rolls, or learning curves.

    Several models are compared in a table, or with --output in one picture.
    """
    quarters = flags.quarters
    require(quarters is None or 0 < quarters < 1e9, "--quarters", "a length above 0 and below 1e9", quarters)
    from musicrnn.cli.present import runs, subject

    paths = files or [CORPUS]
    opened = (subject.open_subject(path, flags.resolution) for path in paths)
    if flags.output is not None:
        subject.plot(list(opened), flags.output, quarters)
        console.report({"file": str(flags.output)}, [str(flags.output)])
    elif console.wants_json():
        documents = list(map(subject.document, opened))
        console.report(documents[0] if len(documents) == 1 else documents, ())
    elif len(paths) > 1 and all(map(runs.is_run, paths)):
        console.result(runs.compare([runs.read_run(path) for path in paths]))
    else:
        for each in opened:
            console.result(subject.text(each, quarters))
