"""``musicrnn prepare``: MIDI files and published rolls -> corpus."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from musicrnn.cli import console
from musicrnn.cli.flags import argument, flag, require
from musicrnn.cli.options import parse_programs, parse_range

if TYPE_CHECKING:
    from musicrnn.corpus.build import Prepared
    from musicrnn.corpus.sources import Collection
    from musicrnn.music import Layout

_Item = TypeVar("_Item")
_SOURCES = (
    "MIDI files, folders, globs, .zip and .tar archives, MusicXML and ABC (with music21), published rolls "
    "(.mat, .json, .pickle), names of data sets (see `musicrnn datasets`), or - for names of files on stdin. "
    "[default: the bundled chorales]"
)


@dataclass(frozen=True)
class FileFlags:
    """Files."""

    output: Path | None = flag(None, "The corpus's folder. [default: data/prepared/NAME]", "--output", "-o")
    offline: Path | None = flag(None, "A folder with copies of published data sets.", "--from")


@dataclass(frozen=True)
class FrameFlags:
    """Frames."""

    resolution: int | None = flag(None, "Frames per quarter note. [default: 4]")
    frame_seconds: float | None = flag(None, "Seconds per frame instead, for performances without a beat.")
    quantize: str = flag(
        "nearest",
        "nearest: notes start and end at the nearest frame, and last at least one. midpoint: they sound in "
        "the frames whose middle they cover, as in the published benchmarks.",
    )
    pitches: str | None = flag(None, "LOW:HIGH, MIDI pitches. [default: 21:108]")
    channels: str | None = flag(None, "frame, or frame+onset (repeats stay apart). [default: frame+onset]")

    def layout(self, collection: Collection) -> Layout:
        """Return the layout of the frames; what isn't given is taken from the source, else the default.

        Raises:
            UsageError: The source consists of rolls with another layout.
        """
        from musicrnn.music import Layout

        fixed = collection.layout or Layout()
        low, high = parse_range("--pitches", self.pitches or f"{fixed.low}:{fixed.high}", int, "21:108")
        channels, seconds = self.channels or fixed.channels, self.frame_seconds
        if seconds is None and self.resolution is None:
            seconds = collection.frame_seconds
        if seconds is not None:
            layout = Layout.in_seconds(seconds, low, high, channels)
        else:
            resolution = fixed.resolution if self.resolution is None else self.resolution
            layout = Layout(resolution, low, high, channels)
        expected = f"the layout of the published rolls, {collection.layout}"
        require(collection.layout in (None, layout), collection.name, expected, layout)
        return layout


@dataclass(frozen=True)
class NoteFlags:
    """Notes."""

    pedal: bool = flag(False, "Let the sustain pedal lengthen notes.")
    tracks: str | None = flag(None, "Take only these tracks, by number (see `show`) or name: 1,3,Vi*.")
    programs: str | None = flag(None, "Take only these General MIDI programs: 0-7,40.")
    split_tracks: bool = flag(False, "Make every track a piece of its own.")
    transpose_to_c: bool = flag(
        False, "Transpose to C major or minor: by key signature, else Krumhansl and Kessler's key profiles."
    )


@dataclass(frozen=True)
class PieceFlags:
    """Pieces."""

    trim: bool = flag(True, "Cut off silence at the ends.")
    min_frames: int = flag(1, "Leave out shorter pieces.")
    max_frames: int | None = flag(None, "Cut longer pieces into pieces of this many frames.")


@dataclass(frozen=True)
class SplitFlags:
    """Splits."""

    valid: float = flag(0.1, "Share of validation pieces, where the source has no split.")
    test: float = flag(0.1, "Share of test pieces, where the source has no split.")
    keep_duplicates: bool = flag(False, "Allow copies, also in other keys, in different splits.")
    seed: int = flag(0, "Seeds the split.")


@dataclass(frozen=True)
class ProcessFlags:
    """Processes."""

    workers: int = flag(0, "Processes; 0 is one per core. The corpus doesn't depend on it.")
    scheduler: str | None = flag(None, "Use the cluster of this dask scheduler instead: tcp://host:8786.")
    time_limit: float = flag(60.0, "Seconds that one piece may take.")


def prepare(
    sources: Annotated[list[str] | None, argument("SOURCE…", _SOURCES)] = None,
    *,
    files: FileFlags,
    frames: FrameFlags,
    notes: NoteFlags,
    pieces: PieceFlags,
    splits: SplitFlags,
    processes: ProcessFlags,
) -> None:
    """Turn MIDI files into a corpus of piano rolls. If interrupted, run the same command to continue."""
    from musicrnn.cli.datasets import fetch_with_progress
    from musicrnn.corpus import Preparation, build_corpus, collect

    _check(frames, pieces, splits, processes)
    names = sys.stdin if "-" in (sources or []) else ()
    collection = collect(
        sources or [], names, frames.resolution, lambda dataset: fetch_with_progress(dataset, files.offline)
    )
    preparation = Preparation(
        frames.layout(collection),
        frames.quantize,
        notes.pedal,
        tuple(name.strip() for name in notes.tracks.split(",")) if notes.tracks else (),
        parse_programs(notes.programs) if notes.programs else (),
        notes.split_tracks,
        notes.transpose_to_c,
        pieces.trim and collection.layout is None,
        pieces.min_frames,
        pieces.max_frames,
    )
    given = ["quantize"] if frames.quantize != "nearest" else []
    given += [entry.name for entry in fields(notes) if getattr(notes, entry.name)]
    for name in given:
        rolls = f"the rolls of {collection.name}"
        require(collection.layout is None, f"--{name.replace('_', '-')}", "a source with notes", rolls)
    output = files.output or Path("data/prepared") / collection.name
    try:
        prepared = build_corpus(
            collection,
            preparation,
            output,
            seed=splits.seed,
            shares=(splits.valid, splits.test),
            keep_duplicates=splits.keep_duplicates,
            workers=processes.workers or os.cpu_count() or 1,
            time_limit=processes.time_limit,
            scheduler=processes.scheduler,
            progress=_track,
        )
    except KeyboardInterrupt:
        console.note(f"{output}: finished pieces are kept; run the same command to continue")
        raise
    if console.is_verbose():
        with (output / "report.jsonl").open(encoding="utf-8") as report:
            for line in report:
                console.note(line.rstrip("\n"))
    _report(prepared, output, splits.keep_duplicates or collection.layout is not None)


def _track(pieces: Iterable[_Item], total: int | None, done: int) -> Iterator[_Item]:
    """Yield pieces as they are prepared, with a progress bar on a terminal."""
    if done:
        console.note(f"resuming after {done:,} pieces that an interrupted run finished")
    return console.track(pieces, total, "preparing", "pieces", done)


def _check(frames: FrameFlags, pieces: PieceFlags, splits: SplitFlags, processes: ProcessFlags) -> None:
    """Refuse values that are out of range or contradict each other."""
    low, high, limit = pieces.min_frames, pieces.max_frames, processes.time_limit
    valid, test = splits.valid, splits.test
    leave_some = valid >= 0 and test >= 0 and valid + test < 1
    require(leave_some, "--valid, --test", "shares that leave some to train on", f"{valid}, {test}")
    require(processes.workers >= 0, "--workers", "0 or more", processes.workers)
    require(0 < limit < 1e6, "--time-limit", "seconds above 0 and below 1e6", limit)
    require(low >= 1, "--min-frames", "1 or more", low)
    require(high is None or high >= low, "--max-frames", f"{low} (--min-frames) or more", high)
    require(None in (frames.resolution, frames.frame_seconds), "--resolution, --frame-seconds", "one", "both")
    require(frames.quantize in ("nearest", "midpoint"), "--quantize", "nearest or midpoint", frames.quantize)


def _report(prepared: Prepared, output: Path, keeps_splits: bool) -> None:
    """Print what was skipped and what is duplicated to stderr, and what the corpus holds."""
    from musicrnn.corpus.summary import count_duplicates

    corpus, repeated = prepared.corpus, count_duplicates(prepared.corpus)
    if prepared.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(prepared.reasons.items()))
        count = f"{prepared.skipped:,} of {prepared.sources:,}"
        console.note(f"skipped {count} pieces ({reasons}): {output}/report.jsonl")
    if repeated.pieces:
        kept = "each kept in the split of the first"
        if keeps_splits or repeated.across_splits:
            kept = f"{repeated.across_splits:,} are in more than one split"
        another = f"{repeated.transposed:,} in another key"
        console.note(f"{repeated.pieces:,} pieces repeat an earlier one ({another}); {kept}")
    document = {
        "corpus": str(output),
        "pieces": len(corpus.pieces),
        "frames": corpus.frames,
        "skipped": prepared.skipped,
        "reasons": prepared.reasons,
        "duplicates": repeated._asdict(),
        "splits": {split: len(pieces) for split, pieces in corpus.items()},
        "seconds": round(prepared.seconds, 3),
    }
    parts = [f"{split} {len(pieces):,} pieces {pieces.frames:,} frames" for split, pieces in corpus.items()]
    lines = [
        f"{output}: {len(corpus.pieces):,} pieces, {corpus.frames:,} frames, {corpus.layout}",
        " | ".join([*parts, f"{prepared.seconds:.1f} s"]),
    ]
    console.report(document, lines)
