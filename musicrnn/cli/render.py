"""``musicrnn render``: a piece of music -> audio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import music_source
from musicrnn.errors import UsageError, about


def render(
    file: Annotated[
        Path,
        typer.Argument(help="A MIDI, MusicXML or ABC file; - for MIDI on stdin."),
    ] = Path("sample.mid"),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .wav file. [default: FILE with .wav]"),
    ] = None,
    sample_rate: Annotated[int, typer.Option(help="Samples per second.")] = 44100,
) -> None:
    """Render a piece of music to a .wav file with a simple synthesiser."""
    from musicrnn.music import read_score
    from musicrnn.music.render import render, write_wav

    if output is None and str(file) == "-":
        raise UsageError("render -: expected -o FILE.wav, found none")
    source, name = music_source(file)
    score = read_score(source, name)
    target = output or file.with_suffix(".wav")
    with about(name):
        samples = render(score, sample_rate)
    write_wav(samples, sample_rate, target)
    seconds = len(samples) / sample_rate
    document = {"file": str(target), "seconds": round(seconds, 3), "sample_rate": sample_rate}
    console.report(document, [f"{target}: {seconds:.1f} s"])
