"""Generation: the compiled loop beside the step loop that one would write with torch.

The step loop is the program's own reference: each frame passes through the layers and the head with torch's
operations and is sampled from random numbers. Both use the same random numbers, and no ratio is printed
unless they sample the same frames. Threads: the better of one and all for the step loop, all for the kernel.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from unittest import mock

import torch

from musicrnn.checkpoint import new_model
from musicrnn.music import Layout, PianoRoll
from musicrnn.nn import MusicRNN, NetworkSettings
from musicrnn.ops.dispatch import CELLS
from musicrnn.sampling import generate_many

TARGET = 50
"""Least speed-up over the step loop for one stream of gru 46."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", choices=list(CELLS), default="gru")
    parser.add_argument("--hidden", type=int, default=46)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 64, 4096])
    parser.add_argument(
        "--frames", type=int, default=2048, help="frames of a single stream; fewer per stream for many"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    layout = Layout(channels="frame")
    settings = NetworkSettings.of(cell=options.cell, hidden=options.hidden, layers=options.layers)
    model = new_model(settings, layout.to_dict()).eval()
    model.head.start_at(torch.full((layout.width,), 4 / layout.width))
    rows = [measure(model, streams, options.frames, options.repeats) for streams in options.streams]
    if options.json:
        print(json.dumps({"cell": options.cell, "hidden": options.hidden, "rows": rows}))
        return
    print(f"{options.cell} {options.layers} x {options.hidden}, D = {layout.width}")
    print(f"{'streams':>8} {'frames/s':>12} {'us/frame':>11} {'step loop':>12} {'ratio':>7}")
    for row in rows:
        ratio = f"{row['ratio']:.1f}" if row["agrees"] else "disagrees"
        print(
            f"{row['streams']:>8} {row['frames_per_second']:>12,.0f} {1e6 / row['frames_per_second']:>11.2f} "
            f"{row['loop_frames_per_second']:>12,.0f} {ratio:>7}"
        )
    if options.streams[0] == 1 and (options.cell, options.hidden, options.layers) == ("gru", 46, 1):
        met = rows[0]["agrees"] and rows[0]["ratio"] >= TARGET
        print(f"target: one stream at least {TARGET} times the step loop: {'met' if met else 'missed'}")
    sys.exit(0 if all(row["agrees"] for row in rows) else 1)


def measure(model: MusicRNN, streams: int, frames: int, repeats: int) -> dict[str, float]:
    """Return the speeds of both loops for ``streams`` streams, and whether they sample the same frames."""
    frames = max(256, frames // streams)
    seeds = list(range(streams))
    loop_frames = min(frames, 256 if streams < 1000 else 16)
    stepwise = mock.patch.object(MusicRNN, "compiled_generator", lambda *ignored: None)
    kernel, loop = float("inf"), float("inf")
    sampled = generate_many(model, loop_frames, seeds)  # compiles
    for _ in range(repeats):
        kernel = min(kernel, time_of(lambda: generate_many(model, frames, seeds)))
        for threads in sorted({1, os.cpu_count() or 1}):
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            with stepwise:
                loop = min(loop, time_of(lambda: generate_many(model, loop_frames, seeds)))
            torch.set_num_threads(before)
    with stepwise:
        expected: list[PianoRoll] = generate_many(model, loop_frames, seeds)
    speed, loop_speed = streams * frames / kernel, streams * loop_frames / loop
    return {
        "streams": streams,
        "frames": frames,
        "frames_per_second": speed,
        "loop_frames_per_second": loop_speed,
        "ratio": speed / loop_speed,
        "agrees": sampled == expected,
    }


def time_of(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
