"""``musicrnn render``: a piece of music -> audio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag, require
from musicrnn.cli.options import music_source
from musicrnn.errors import about

_DEFAULT = Path("sample.mid")


@dataclass(frozen=True)
class RenderFlags:
    """Options."""

    output: Path | None = flag(None, "The .wav file. [default: FILE with .wav]", "--output", "-o")
    sample_rate: int = flag(44100, "Samples per second.")


def render(
    file: Annotated[Path, argument("file", "A MIDI, MusicXML or ABC file; - for MIDI on stdin.")] = _DEFAULT,
    *,
    flags: RenderFlags,
) -> None:
    """Render a piece of music to a .wav file with a simple synthesiser."""
    from musicrnn.music import read_score
    from musicrnn.music.render import render, write_wav

    require(flags.output is not None or str(file) != "-", "render -", "-o FILE.wav")
    source, name = music_source(file)
    score = read_score(source, name)
    target = flags.output or file.with_suffix(".wav")
    with about(name):
        samples = render(score, flags.sample_rate)
    write_wav(samples, flags.sample_rate, target)
    seconds = len(samples) / flags.sample_rate
    document = {"file": str(target), "seconds": round(seconds, 3), "sample_rate": flags.sample_rate}
    console.report(document, [f"{target}: {seconds:.1f} s"])
