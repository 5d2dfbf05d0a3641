"""``musicrnn prepare``: MIDI files and published rolls -> corpus."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import Json, Quiet, Verbose, parse_pitches
from musicrnn.errors import UsageError


def prepare(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE…",
            help="MIDI files, folders, globs, a published .mat file, the name of a data set "
            "(see `musicrnn datasets`), or - for names of files on stdin. [default: the bundled chorales]",
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
    pitches: Annotated[str | None, typer.Option(help="LOW:HIGH, MIDI pitches. [default: 21:108]")] = None,
    channels: Annotated[
        str | None,
        typer.Option(help="frame, or frame+onset, which keeps repeated notes apart. [default: frame+onset]"),
    ] = None,
    valid: Annotated[
        float, typer.Option(help="Share of validation pieces, where the source has no split.")
    ] = 0.1,
    test: Annotated[float, typer.Option(help="Share of test pieces, where the source has no split.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seeds the split.")] = 0,
    workers: Annotated[
        int, typer.Option(help="Processes; 0 means one per core. The corpus doesn't depend on it.")
    ] = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Turn MIDI files into a corpus of piano rolls."""
    console.set_level(quiet, verbose)
    from musicrnn.corpus import build_corpus, collect
    from musicrnn.music import Layout

    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise UsageError(
            f"--valid, --test: expected shares that leave some to train on, found {valid}, {test}"
        )
    if workers < 0:
        raise UsageError(f"--workers: expected 0 or more, found {workers}")
    collection = collect(sources or [], sys.stdin if "-" in (sources or []) else (), resolution)
    fixed = collection.layout or Layout()
    layout = Layout(
        fixed.resolution if resolution is None else resolution,
        *(parse_pitches(pitches) if pitches else (fixed.low, fixed.high)),
        channels or fixed.channels,
    )
    if collection.layout not in (None, layout):
        raise UsageError(
            f"{collection.name}: published rolls have the layout {collection.layout}; asked: {layout}"
        )
    output = output or Path("data/prepared") / collection.name
    prepared = build_corpus(
        collection,
        layout,
        output,
        seed=seed,
        shares=(valid, test),
        workers=workers or os.cpu_count() or 1,
        progress=lambda pieces, total: console.track(pieces, total, "preparing"),
    )
    corpus = prepared.corpus
    splits = {split: len(pieces) for split, pieces in corpus.items()}
    for line in (output / "report.jsonl").read_text(encoding="utf-8").splitlines():
        console.detail(line)
    if prepared.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(prepared.reasons.items()))
        total = len(collection.pieces)
        console.note(f"skipped {prepared.skipped} of {total} pieces ({reasons}): {output}/report.jsonl")
    if json:
        console.result_json(
            {
                "corpus": str(output),
                "pieces": len(corpus.pieces),
                "frames": corpus.frames,
                "skipped": prepared.skipped,
                "splits": splits,
                "seconds": round(prepared.seconds, 3),
            }
        )
        return
    console.result(f"{output}: {len(corpus.pieces):,} pieces, {corpus.frames:,} frames, {layout}")
    parts = [f"{split} {len(pieces):,} pieces {pieces.frames:,} frames" for split, pieces in corpus.items()]
    console.result(" | ".join([*parts, f"{prepared.seconds:.1f} s"]))
