"""``musicrnn prepare``: MIDI files and published rolls -> corpus."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import Json, Quiet, Verbose, parse_pitches, parse_programs
from musicrnn.errors import UsageError

if TYPE_CHECKING:
    from musicrnn.corpus import Collection, Corpus, Preparation, Prepared
    from musicrnn.music import Layout


def prepare(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE…",
            help="MIDI files, folders, globs, .zip and .tar archives, MusicXML and ABC (with music21), a "
            "published file of rolls (.mat, .json, .pickle), the name of a data set (see `musicrnn "
            "datasets`), or - for names of files on stdin. [default: the bundled chorales]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The corpus. [default: data/prepared/NAME]", show_default=False),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Frames per quarter note. [default: 4]", show_default=False)
    ] = None,
    frame_seconds: Annotated[
        float | None,
        typer.Option(
            help="Seconds per frame instead, for performances that follow no beat.", show_default=False
        ),
    ] = None,
    quantize: Annotated[
        str,
        typer.Option(
            help="nearest: notes go to the nearest frame, and none vanishes. midpoint: they sound in the "
            "frames whose middle they cover, as in the published benchmarks."
        ),
    ] = "nearest",
    pitches: Annotated[str | None, typer.Option(help="LOW:HIGH, MIDI pitches. [default: 21:108]")] = None,
    channels: Annotated[
        str | None,
        typer.Option(help="frame, or frame+onset, which keeps repeated notes apart. [default: frame+onset]"),
    ] = None,
    pedal: Annotated[bool, typer.Option("--pedal", help="Let the sustain pedal lengthen notes.")] = False,
    tracks: Annotated[
        str | None,
        typer.Option(
            help="Take these tracks only: numbers as `musicrnn show` counts, or names with * and ?, "
            "separated by commas.",
            show_default=False,
        ),
    ] = None,
    programs: Annotated[
        str | None,
        typer.Option(help="Take these General MIDI programs only: 0-7,40.", show_default=False),
    ] = None,
    split_tracks: Annotated[
        bool, typer.Option("--split-tracks", help="Make every track a piece of its own.")
    ] = False,
    transpose_to_c: Annotated[
        bool,
        typer.Option(
            "--transpose-to-c",
            help="Move every piece to C major or C minor, by its key signature or, where it has none, by the "
            "profiles of Krumhansl and Kessler.",
        ),
    ] = False,
    trim: Annotated[bool, typer.Option(help="Cut silence off at the ends.")] = True,
    min_frames: Annotated[int, typer.Option(help="Leave shorter pieces out.")] = 1,
    max_frames: Annotated[
        int | None, typer.Option(help="Cut longer pieces into pieces of so many frames.", show_default=False)
    ] = None,
    valid: Annotated[
        float, typer.Option(help="Share of validation pieces, where the source has no split.")
    ] = 0.1,
    test: Annotated[float, typer.Option(help="Share of test pieces, where the source has no split.")] = 0.1,
    keep_duplicates: Annotated[
        bool,
        typer.Option(
            "--keep-duplicates",
            help="Let pieces that are the same, or the same in another key, fall into different splits.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seeds the split.")] = 0,
    workers: Annotated[
        int, typer.Option(help="Processes; 0 means one per core. The corpus doesn't depend on it.")
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler, tcp://host:8786, whose cluster does the work.",
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds that one piece may take.")] = 60.0,
    offline: Annotated[
        Path | None,
        typer.Option("--from", help="A folder with copies of published data sets.", show_default=False),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Turn MIDI files into a corpus of piano rolls. Interrupted, the same command goes on where it was."""
    console.set_level(quiet, verbose)
    from musicrnn.cli.datasets import fetch_with_progress
    from musicrnn.corpus import Preparation, build_corpus, collect

    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise UsageError(
            f"--valid, --test: expected shares that leave some to train on, found {valid}, {test}"
        )
    _check_counts(workers, time_limit, min_frames, max_frames, resolution, frame_seconds)
    names = sys.stdin if "-" in (sources or []) else ()
    collection = collect(
        sources or [], names, resolution, lambda dataset: fetch_with_progress(dataset, offline)
    )
    preparation = Preparation(
        _layout(collection, resolution, frame_seconds, pitches, channels),
        _choice("--quantize", quantize, ("nearest", "midpoint")),
        pedal,
        tuple(name.strip() for name in tracks.split(",")) if tracks else (),
        parse_programs(programs) if programs else (),
        split_tracks,
        transpose_to_c,
        trim and collection.layout is None,
        min_frames,
        max_frames,
    )
    _check_rolls(collection, preparation)
    output = output or Path("data/prepared") / collection.name
    try:
        prepared = build_corpus(
            collection,
            preparation,
            output,
            seed=seed,
            shares=(valid, test),
            keep_duplicates=keep_duplicates,
            workers=workers or os.cpu_count() or 1,
            time_limit=time_limit,
            scheduler=scheduler,
            progress=console.track_pieces,
        )
    except KeyboardInterrupt:
        console.note(f"{output}: what is done is kept; the same command goes on from there")
        raise
    if verbose:
        with (output / "report.jsonl").open(encoding="utf-8") as report:
            for line in report:
                console.detail(line.rstrip("\n"))
    _tell(prepared, output, keep_duplicates or collection.layout is not None)
    if json:
        console.result_json(_document(prepared, output))
    else:
        _summary(prepared.corpus, output, prepared.seconds)


def _layout(
    collection: Collection,
    resolution: int | None,
    frame_seconds: float | None,
    pitches: str | None,
    channels: str | None,
) -> Layout:
    """Return the layout asked for; what isn't asked for is what the source has, else the default."""
    from musicrnn.music import Layout

    fixed = collection.layout or Layout()
    low, high = parse_pitches(pitches) if pitches else (fixed.low, fixed.high)
    if frame_seconds is None and resolution is None:
        frame_seconds = collection.frame_seconds
    if frame_seconds is not None:
        layout = Layout.in_seconds(frame_seconds, low, high, channels or fixed.channels)
    else:
        per_quarter = fixed.resolution if resolution is None else resolution
        layout = Layout(per_quarter, low, high, channels or fixed.channels)
    if collection.layout not in (None, layout):
        raise UsageError(
            f"{collection.name}: published rolls have the layout {collection.layout}; asked: {layout}"
        )
    return layout


def _check_counts(
    workers: int,
    time_limit: float,
    min_frames: int,
    max_frames: int | None,
    resolution: int | None,
    frame_seconds: float | None,
) -> None:
    """Refuse numbers that mean nothing."""
    if workers < 0:
        raise UsageError(f"--workers: expected 0 or more, found {workers}")
    if not 0 < time_limit < 1e6:
        raise UsageError(f"--time-limit: expected seconds above 0 and below 1e6, found {time_limit}")
    if min_frames < 1:
        raise UsageError(f"--min-frames: expected 1 or more, found {min_frames}")
    if max_frames is not None and max_frames < min_frames:
        raise UsageError(f"--max-frames: expected {min_frames} (--min-frames) or more, found {max_frames}")
    if resolution is not None and frame_seconds is not None:
        raise UsageError("expected one of --resolution, --frame-seconds; found both")


def _check_rolls(collection: Collection, preparation: Preparation) -> None:
    """Refuse to do with published rolls what only notes allow."""
    if collection.layout is None:
        return
    asked = {
        "--quantize": preparation.quantize != "nearest",
        "--pedal": preparation.pedal,
        "--tracks": preparation.tracks,
        "--programs": preparation.programs,
        "--split-tracks": preparation.split_tracks,
        "--transpose-to-c": preparation.transpose_to_c,
    }
    for flag, is_asked in asked.items():
        if is_asked:
            raise UsageError(f"{flag}: expected a source with notes, found the rolls of {collection.name}")


def _choice(flag: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UsageError(f"{flag}: expected one of {', '.join(choices)}; found {value}")
    return value


def _tell(prepared: Prepared, output: Path, parted: bool) -> None:
    """Say on stderr what was skipped and what repeats."""
    corpus = prepared.corpus
    if prepared.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(prepared.reasons.items()))
        count = f"{prepared.skipped:,} of {prepared.sources:,}"
        console.note(f"skipped {count} pieces ({reasons}): {output}/report.jsonl")
    repeated = corpus.duplicates()
    if repeated.pieces:
        kept = (
            f"{repeated.across_splits:,} are in more than one split"
            if parted or repeated.across_splits
            else "each kept in the split of the first"
        )
        another = f"{repeated.transposed:,} in another key"
        console.note(f"{repeated.pieces:,} pieces repeat an earlier one ({another}); {kept}")


def _document(prepared: Prepared, output: Path) -> dict[str, object]:
    corpus = prepared.corpus
    return {
        "corpus": str(output),
        "pieces": len(corpus.pieces),
        "frames": corpus.frames,
        "skipped": prepared.skipped,
        "reasons": prepared.reasons,
        "duplicates": corpus.duplicates()._asdict(),
        "splits": {split: len(pieces) for split, pieces in corpus.items()},
        "seconds": round(prepared.seconds, 3),
    }


def _summary(corpus: Corpus, output: Path, seconds: float) -> None:
    console.result(f"{output}: {len(corpus.pieces):,} pieces, {corpus.frames:,} frames, {corpus.layout}")
    parts = [f"{split} {len(pieces):,} pieces {pieces.frames:,} frames" for split, pieces in corpus.items()]
    console.result(" | ".join([*parts, f"{seconds:.1f} s"]))
