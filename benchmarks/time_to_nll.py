"""Time to a validation NLL on JSB Chorales: ``musicrnn train`` beside the plain script, whole processes.

Both start from nothing and stop when they reach the same NLL: imports, reading and validation count, and so
does all that musicrnn writes. The plain script hears one piece at a time (see ``plain.py``). They take turns,
a seed a round, and the medians are compared; a first run of each, which isn't measured, caches kernels and
files. What follows ``--`` goes to ``musicrnn train``, in place of what the command is told by default.

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

from benchmarks import corpora

TARGET = 25.0
"""Times as fast as the plain script that musicrnn should be there."""

FLAGS = shlex.split(
    "--learning-rate 0.03 --batch-size 4 --weight-noise 0 --input-noise 0 --average ema --average-decay 0.95"
)
"""What ``musicrnn train`` is told unless something else is said."""


def run(command: list[str]) -> dict[str, Any]:
    """Run a command that prints JSON; return that and the seconds of the whole process."""
    started = time.perf_counter()
    process = subprocess.run(command, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - started
    if not process.stdout:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return {**json.loads(process.stdout), "process_seconds": seconds}


def ours(corpus: Path, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with musicrnn."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "musicrnn", "train", str(corpus), "-o", str(Path(folder) / "run")]
        command += ["--hidden", str(options.hidden), "--until", str(options.until), "--seed", str(seed)]
        return run([*command, "--json", "--quiet", *(options.flags or FLAGS)])


def theirs(corpus: Path, options: argparse.Namespace, seed: int, *flags: str) -> dict[str, Any]:
    """Train with the plain script."""
    script = str(Path(__file__).with_name("plain.py"))
    command = [sys.executable, script, str(corpus), "--hidden", str(options.hidden)]
    return run([*command, "--until", str(options.until), "--seed", str(seed), *flags])


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    words = sys.argv[1:] if words is None else words
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", type=Path, help="a prepared corpus")
    parser.add_argument("--source", default="jsb", help="what to prepare where no corpus is given")
    parser.add_argument("--hidden", type=int, default=46)
    parser.add_argument("--until", type=float, default=8.60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one document to stdout, the rest to stderr")
    options = parser.parse_args(words[:end])
    options.flags = words[end + 1 :]
    return options


def main(words: list[str] | None = None) -> int:
    """Let both take turns, and print; return 1 if one doesn't get there or the target is missed."""
    options = parse(words)
    say = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    with tempfile.TemporaryDirectory() as work:
        corpus = options.corpus or corpora.prepared(options.source, Path(work))
        ours(corpus, options, 0)
        theirs(corpus, options, 0, "--epochs", "1")
        rounds = []
        for seed in range(options.rounds):
            rounds.append({"musicrnn": ours(corpus, options, seed), "plain": theirs(corpus, options, seed)})
            for name, found in rounds[-1].items():
                say(
                    f"seed {seed}  {name:9}{found['process_seconds']:8.2f} s  {found['epochs']:3} epochs  "
                    f"valid {found['valid_nll']:.3f}  {found['frames_per_second']:9,.0f} frames/s"
                )
    arrived = all(found["valid_nll"] <= options.until for pair in rounds for found in pair.values())
    mine, other = (median(pair[name]["process_seconds"] for pair in rounds) for name in ("musicrnn", "plain"))
    met = arrived and other / mine >= TARGET
    say(f"to {options.until:.2f}: musicrnn {mine:.2f} s, plain {other:.2f} s", end="")
    say(f", ratio {other / mine:.1f}" if arrived else "; not all got there")
    say(f"target: at least {TARGET:g} times as fast: {'met' if met else 'missed'}")
    if options.json:
        ratio = other / mine if arrived else None
        print(json.dumps({"rounds": rounds, "musicrnn": mine, "plain": other, "ratio": ratio}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
