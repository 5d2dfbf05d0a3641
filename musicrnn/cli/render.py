"""``musicrnn render``: MIDI -> audio."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from musicrnn.cli import console
from musicrnn.errors import UsageError, about


def render(
    file: Annotated[Path, typer.Argument(help="A MIDI file; - for stdin.")] = Path("sample.mid"),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .wav file. [default: FILE with .wav]"),
    ] = None,
    sample_rate: Annotated[int, typer.Option(help="Samples per second.")] = 44100,
) -> None:
    """Render a MIDI file to a .wav file with a simple synthesiser."""
    from musicrnn.music import read_midi
    from musicrnn.music.render import render, write_wav

    piped = str(file) == "-"
    if output is None and piped:
        raise UsageError("render -: expected -o FILE.wav, found none")
    name = "stdin" if piped else str(file)
    score = read_midi(sys.stdin.buffer.read() if piped else file, name)
    target = output or file.with_suffix(".wav")
    with about(name):
        samples = render(score, sample_rate)
    write_wav(samples, sample_rate, target)
    seconds = len(samples) / sample_rate
    document = {"file": str(target), "seconds": round(seconds, 3), "sample_rate": sample_rate}
    console.report(document, [f"{target}: {seconds:.1f} s"])
