"""Time to a validation NLL on JSB Chorales: ``musicrnn train`` beside the plain script, whole processes.

Both run as new processes and stop when they reach the same NLL; imports, reading, validation and everything
that musicrnn writes are included. The plain script trains on one piece at a time (see ``plain.py``). They
alternate, one seed per round, and the medians are compared; a first run of each, which isn't measured, warms
the caches of kernels and files. Flags after ``--`` go to ``musicrnn train``, in place of the default flags.

    python benchmarks/time_to_nll.py [CORPUS] [--until 8.60] [-- --batch-size 16 --learning-rate 0.01]
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import common

TARGET = 25.0
"""Least speed-up over the plain script."""

FLAGS = shlex.split(
    "--learning-rate 0.03 --batch-size 4 --weight-noise 0 --input-noise 0 --average ema --average-decay 0.95"
)
"""Default flags of ``musicrnn train``."""


def run(command: list[str]) -> dict[str, Any]:
    """Run a command that prints JSON; return the document and the seconds of the whole process."""
    started = time.perf_counter()
    process = subprocess.run(command, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - started
    if not process.stdout:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return {**json.loads(process.stdout), "process_seconds": seconds}


def ours(corpus: Path, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with musicrnn."""
    with tempfile.TemporaryDirectory() as folder:
        words = common.command("train", corpus, "-o", Path(folder) / "run", "--json", "--quiet")
        words += ["--hidden", str(options.hidden), "--until", str(options.until), "--seed", str(seed)]
        return run(words + (options.flags or FLAGS))


def theirs(corpus: Path, options: argparse.Namespace, seed: int, *flags: str) -> dict[str, Any]:
    """Train with the plain script."""
    script = str(Path(__file__).with_name("plain.py"))
    command = [sys.executable, script, str(corpus), "--hidden", str(options.hidden)]
    return run([*command, "--until", str(options.until), "--seed", str(seed), *flags])


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    words, flags = common.split_flags(sys.argv[1:] if words is None else words)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_corpus(parser, "jsb")
    parser.add_argument("--hidden", type=int, default=46)
    parser.add_argument("--until", type=float, default=8.60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one document to stdout, the rest to stderr")
    options = parser.parse_args(words)
    options.flags = flags
    return options


def main(words: list[str] | None = None) -> int:
    """Measure and print; return 1 if one doesn't reach the NLL or the target is missed."""
    options = parse(words)
    report = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    with tempfile.TemporaryDirectory() as work:
        corpus = common.find_corpus(options, Path(work))
        ours(corpus, options, 0)
        theirs(corpus, options, 0, "--epochs", "1")
        rounds = []
        for seed in range(options.rounds):
            rounds.append({"musicrnn": ours(corpus, options, seed), "plain": theirs(corpus, options, seed)})
            for name, found in rounds[-1].items():
                report(
                    f"seed {seed}  {name:9}{found['process_seconds']:8.2f} s  {found['epochs']:3} epochs  "
                    f"valid {found['valid_nll']:.3f}  {found['frames_per_second']:9,.0f} frames/s"
                )
    arrived = all(found["valid_nll"] <= options.until for pair in rounds for found in pair.values())
    mine, other = (median(pair[name]["process_seconds"] for pair in rounds) for name in ("musicrnn", "plain"))
    met = arrived and other / mine >= TARGET
    report(f"to {options.until:.2f}: musicrnn {mine:.2f} s, plain {other:.2f} s", end="")
    report(f", ratio {other / mine:.1f}" if arrived else "; not all reached it")
    report(f"target: at least {TARGET:g} times as fast: {'met' if met else 'missed'}")
    if options.json:
        ratio = other / mine if arrived else None
        print(json.dumps({"rounds": rounds, "musicrnn": mine, "plain": other, "ratio": ratio}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
