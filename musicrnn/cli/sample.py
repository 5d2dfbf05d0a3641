"""``musicrnn sample``: model -> new MIDI files."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.options import Json, Model, Quiet, Verbose, chosen_model
from musicrnn.errors import UsageError

BARS = 16
TEMPO = 120.0
SLOWEST, FASTEST = 4, 1000


def sample(
    model: Model = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The MIDI file; - for stdout.")] = Path(
        "sample.mid"
    ),
    bars: Annotated[float | None, typer.Option(help=f"Length in bars. [default: {BARS}]")] = None,
    beats: Annotated[float | None, typer.Option(help="Length in beats of the metre.")] = None,
    frames: Annotated[int | None, typer.Option(help="Length in frames.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Length in seconds at the tempo.")] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 bolder, above 1 wilder.")] = 1.0,
    threshold: Annotated[
        float | None, typer.Option(help="Draw nothing: what is at least so probable sounds.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same bytes. [default: a new one each time]")
    ] = None,
    count: Annotated[
        int, typer.Option(help="Number of pieces: OUT-1.mid, OUT-2.mid … from seed, seed + 1 …")
    ] = 1,
    tempo: Annotated[
        float | None,
        typer.Option(help=f"Quarter notes per minute. [default: the corpus's, else {TEMPO:.0f}]"),
    ] = None,
    primer: Annotated[Path | None, typer.Option(help="A MIDI file to continue; - for stdin.")] = None,
    include_primer: Annotated[
        bool, typer.Option("--include-primer", help="Begin the output with the primer.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw new music from a model."""
    console.set_level(quiet, verbose)
    import secrets

    lengths = {"bars": bars, "beats": beats, "frames": frames, "seconds": seconds}
    asked = {name: value for name, value in lengths.items() if value is not None}
    _check(asked, count, tempo, seed, output, json, include_primer and primer is None)

    from musicrnn.checkpoint import load_model
    from musicrnn.music import midi_bytes, to_score
    from musicrnn.sampling import Drawing, generate_many, layout_of, read_primer

    started, directory = time.monotonic(), chosen_model(model)
    drawing = Drawing(temperature, threshold)
    network = load_model(directory)
    layout = layout_of(network)
    heard = score = None
    if primer is not None:
        source = sys.stdin.buffer.read() if str(primer) == "-" else primer
        heard, score = read_primer(source, layout, "stdin" if str(primer) == "-" else str(primer))
    heard_tempo = score.main_tempo() if score else None
    tempo = tempo or layout.tempo or heard_tempo or network.data.get("tempo") or TEMPO
    tempo = min(max(tempo, SLOWEST), FASTEST)
    metre = (score.main_metre() if score else None) or tuple(network.data.get("metre") or (4, 4))
    length = _frames(asked or {"bars": BARS}, layout.resolution, tempo, metre)
    seed = secrets.randbelow(2**31) if seed is None else seed
    seeds = [seed + index for index in range(count)]
    if console.shows_progress():
        with console.progress_bar("sampling", "{task.completed:,}/{task.total:,} frames") as bar:
            task = bar.add_task("", total=length)
            advance = lambda done: bar.update(task, completed=done)  # noqa: E731
            rolls = generate_many(network, length, seeds, drawing, heard, advance)
    else:
        rolls = generate_many(network, length, seeds, drawing, heard)
    if include_primer and heard is not None:
        rolls = [heard.followed_by(roll) for roll in rolls]
    contents = [midi_bytes(to_score(roll, tempo, metre)) for roll in rolls]
    if str(output) == "-":
        console.result_bytes(contents[0])
        console.note(f"seed {seed}")
        return
    files = _write(contents, output)
    if json:
        elapsed = round(time.monotonic() - started, 3)
        console.result_json({"files": files, "frames": length, "seed": seed, "seconds": elapsed})
        return
    console.note(f"{length} frames at {tempo:g} quarter notes per minute, seed {seed}")
    for name in files:
        console.result(name)


def _check(
    asked: dict[str, Any],
    count: int,
    tempo: float | None,
    seed: int | None,
    output: Path,
    json: bool,
    unprimed: bool,
) -> None:
    """Refuse flags that contradict each other or mean nothing."""
    if len(asked) > 1:
        raise UsageError(
            f"expected one of --bars, --beats, --frames, --seconds; found --{', --'.join(asked)}"
        )
    for name, value in asked.items():
        if not 0 < value < 1e9:
            raise UsageError(f"--{name}: expected a length above 0 and below 1e9, found {value}")
    if tempo is not None and not SLOWEST <= tempo <= FASTEST:
        raise UsageError(f"--tempo: expected {SLOWEST} to {FASTEST} quarter notes per minute, found {tempo}")
    if count < 1:
        raise UsageError(f"--count: expected at least 1, found {count}")
    if seed is not None and seed < 0:
        raise UsageError(f"--seed: expected 0 or more, found {seed}")
    if str(output) == "-" and (count > 1 or json):
        raise UsageError(
            f"-o -: stdout holds one MIDI file, found {'--json' if json else f'--count {count}'}"
        )
    if unprimed:
        raise UsageError("--include-primer: expected a --primer, found none")


def _frames(asked: dict[str, Any], resolution: int, tempo: float, metre: tuple[int, int]) -> int:
    """Convert a length to frames, at least one."""
    (unit, value), beat = next(iter(asked.items())), 4 / metre[1]
    quarters = {"bars": beat * metre[0], "beats": beat, "frames": 1 / resolution, "seconds": tempo / 60}[unit]
    return max(1, round(float(value) * quarters * resolution))


def _write(contents: list[bytes], output: Path) -> list[str]:
    from musicrnn.files import write_bytes

    suffix = output.suffix or ".mid"
    numbered = [output.with_name(f"{output.stem}-{index}{suffix}") for index in range(1, len(contents) + 1)]
    paths = numbered if len(contents) > 1 else [output]
    for path, content in zip(paths, contents, strict=True):
        write_bytes(path, content)
    return [str(path) for path in paths]
