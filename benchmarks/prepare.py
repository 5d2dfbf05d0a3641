"""MIDI files per second: musicrnn's ``prepare`` beside a plain loop over pretty_midi, same cores, same work.

Both read every file, put its notes on a grid of sixteenths and keep the binary roll; ``prepare`` also
isolates the reading in another process, looks for duplicates, and writes the corpus and its report. A third
row is ``get_piano_roll()`` with its default of 100 frames per second.

    python benchmarks/prepare.py [FOLDER]…      # default: the bundled chorales
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pretty_midi
import symusic  # noqa: F401 (both libraries are loaded before timing starts)

from musicrnn.bundled import bundled
from musicrnn.corpus import Preparation, build_corpus, collect
from musicrnn.music import Layout


def plain_loop(files: list[str], same_grid: bool = True) -> int:
    """Read files the usual way; return the number of frames."""
    frames = 0
    for file in files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            midi = pretty_midi.PrettyMIDI(file)
        beats = midi.tick_to_time(midi.resolution) or 0.5
        roll = midi.get_piano_roll(fs=4 / beats if same_grid else 100)[21:109].T > 0
        frames += len(roll.astype(np.uint8))
    return frames


def plain_loops(files: list[str], workers: int, same_grid: bool = True) -> int:
    """Run ``plain_loop`` in several processes."""
    loop = partial(plain_loop, same_grid=same_grid)
    if workers == 1:
        return loop(files)
    with ProcessPoolExecutor(workers) as pool:
        return sum(pool.map(loop, [files[start::workers] for start in range(workers)]))


def prepare(folder: Path, workers: int) -> int:
    """Prepare a folder; return the number of frames."""
    with tempfile.TemporaryDirectory() as directory:
        collection, target = collect([str(folder)]), Path(directory) / "corpus"
        preparation = Preparation(Layout(channels="frame"))
        return build_corpus(collection, preparation, target, workers=workers).corpus.frames


def measure(folder: Path, workers: int, repeats: int) -> None:
    """Measure both on a folder, alternately, and print the medians."""
    files = [piece.path for piece in collect([str(folder)])]
    runs: dict[str, Callable[[], int]] = {
        "pretty_midi, same grid": lambda: plain_loops(files, workers),
        "pretty_midi, 100 per s": lambda: plain_loops(files, workers, same_grid=False),
        "musicrnn": lambda: prepare(folder, workers),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    print(f"{folder}: {len(files)} files, {workers} workers")
    for name, value in medians.items():
        rate, cost, ratio = len(files) / value, 1000 * value / len(files), value / medians["musicrnn"]
        print(f"  {name:24} {rate:9.1f} files/s  {cost:8.3f} ms per file  {ratio:6.1f} times musicrnn's")


def main() -> None:
    """Measure every folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[bundled("data/chorales")])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for folder in arguments.folders:
        measure(folder, arguments.workers, arguments.repeats)


if __name__ == "__main__":
    main()
