"""MIDI files per second: musicrnn's ``prepare`` beside a plain loop over pretty_midi, on one core, same work.

Both read every file, put its notes on a grid of sixteenths and keep the binary roll; ``prepare`` also
writes the corpus and its report.

    python benchmarks/prepare.py [FOLDER]      # default: the bundled chorales
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pretty_midi

from musicrnn.bundled import bundled
from musicrnn.corpus import build_corpus, collect
from musicrnn.music import Layout


def plain_loop(files: list[Path]) -> int:
    """Read files the usual way; return the number of frames."""
    frames = 0
    for file in files:
        midi = pretty_midi.PrettyMIDI(str(file))
        beats = midi.tick_to_time(midi.resolution) or 0.5
        roll = midi.get_piano_roll(fs=4 / beats)[21:109].T > 0
        frames += len(roll.astype(np.uint8))
    return frames


def prepare(folder: Path) -> int:
    """Prepare a folder; return the number of frames."""
    with tempfile.TemporaryDirectory() as directory:
        collection = collect([str(folder)])
        return build_corpus(collection, Layout(channels="frame"), Path(directory) / "corpus").corpus.frames


def main() -> None:
    """Measure both, alternately, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=bundled("data/chorales"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    files = [piece.path for piece in collect([str(arguments.folder)]).pieces]
    seconds: dict[str, list[float]] = {"pretty_midi": [], "musicrnn": []}
    for _ in range(arguments.repeats):
        for name, run in (
            ("pretty_midi", lambda: plain_loop(files)),
            ("musicrnn", lambda: prepare(arguments.folder)),
        ):
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:12} {len(files) / value:9.1f} files/s  {1000 * value / len(files):8.3f} ms a file")
    print(f"ratio        {medians['pretty_midi'] / medians['musicrnn']:9.1f}")


if __name__ == "__main__":
    main()
