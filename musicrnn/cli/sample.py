"""``musicrnn sample``: model -> new MIDI files."""

from __future__ import annotations

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from musicrnn.cli import console
from musicrnn.cli.flags import flag, require
from musicrnn.cli.options import Model, chosen_model, music_source
from musicrnn.sampling import lengths


@dataclass(frozen=True)
class OutputFlags:
    """Output."""

    output: Path = flag(Path("sample.mid"), "The MIDI file; - for stdout.", "--output", "-o")
    count: int = flag(1, "Number of pieces: OUT-1.mid, OUT-2.mid … from seed, seed + 1 …")


@dataclass(frozen=True)
class LengthFlags:
    """Length and tempo."""

    bars: float | None = flag(None, f"Length in bars. [default: {lengths.BARS:g}]")
    beats: float | None = flag(None, "Length in beats of the metre.")
    frames: int | None = flag(None, "Length in frames.")
    seconds: float | None = flag(None, "Length in seconds at the tempo.")
    tempo: float | None = flag(
        None, f"Quarter notes per minute. [default: the corpus's tempo, else {lengths.TEMPO:g}]"
    )


@dataclass(frozen=True)
class SamplingFlags:
    """Sampling."""

    temperature: float = flag(1.0, "Divides the log-odds: below 1 safer, above 1 more random.")
    threshold: float | None = flag(None, "No randomness: every cell with at least this probability sounds.")
    seed: int | None = flag(None, "Seed of the random numbers. [default: a new one each time]")


@dataclass(frozen=True)
class PrimerFlags:
    """Primer."""

    primer: Path | None = flag(None, "A MIDI, MusicXML or ABC file to continue; - for MIDI on stdin.")
    include_primer: bool = flag(False, "Begin the output with the primer.")


def sample(
    model: Model = None,
    *,
    output: OutputFlags,
    length: LengthFlags,
    sampling: SamplingFlags,
    primer: PrimerFlags,
) -> None:
    """Generate new music from a model."""
    _check(sampling.seed, output, primer)
    from musicrnn.checkpoint import load_model
    from musicrnn.files import write_bytes
    from musicrnn.music import midi_bytes, to_score
    from musicrnn.sampling import SamplingSettings, generate_many, layout_of, read_primer

    asked = lengths.Length.of(
        bars=length.bars, beats=length.beats, frames=length.frames, seconds=length.seconds
    )
    lengths.check_tempo(length.tempo)
    settings = SamplingSettings(sampling.temperature, sampling.threshold)
    started, directory = time.monotonic(), chosen_model(model)
    network = load_model(directory)
    layout = layout_of(network)
    before = score = None
    if primer.primer is not None:
        source, name = music_source(primer.primer)
        before, score = read_primer(source, layout, name)
    tempo = lengths.choose_tempo(length.tempo, layout, score, network.data)
    metre = lengths.choose_metre(score, network.data)
    frames = asked.frames(layout.resolution, tempo, metre)
    seed = secrets.randbelow(2**31) if sampling.seed is None else sampling.seed
    seeds = [seed + index for index in range(output.count)]
    with console.progress("sampling", frames, "frames") as advance:
        rolls = generate_many(network, frames, seeds, settings, before, advance)
    if primer.include_primer and before is not None:
        rolls = [before.followed_by(roll) for roll in rolls]
    contents = [midi_bytes(to_score(roll, tempo, metre)) for roll in rolls]
    if str(output.output) == "-":
        sys.stdout.buffer.write(contents[0])
        sys.stdout.buffer.flush()
        console.note(f"seed {seed}")
        return
    files = _names(output.output, output.count)
    for file, content in zip(files, contents, strict=True):
        write_bytes(Path(file), content)
    if not console.wants_json():
        console.note(f"{frames} frames at {tempo:g} quarter notes per minute, seed {seed}")
    elapsed = round(time.monotonic() - started, 3)
    console.report({"files": files, "frames": frames, "seed": seed, "seconds": elapsed}, files)


def _check(seed: int | None, output: OutputFlags, primer: PrimerFlags) -> None:
    """Refuse values that contradict each other or are out of range."""
    require(output.count >= 1, "--count", "at least 1", output.count)
    require(seed is None or seed >= 0, "--seed", "0 or more", seed)
    if str(output.output) == "-":
        require(not console.wants_json(), "-o -", "one MIDI file on stdout", "--json")
        require(output.count == 1, "-o -", "one MIDI file on stdout", f"--count {output.count}")
    require(primer.primer is not None or not primer.include_primer, "--include-primer", "a --primer")


def _names(output: Path, count: int) -> list[str]:
    """Return the names of the files: OUT, or OUT-1, OUT-2 and so on."""
    if count == 1:
        return [str(output)]
    suffix = output.suffix or ".mid"
    return [str(output.with_name(f"{output.stem}-{index}{suffix}")) for index in range(1, count + 1)]
