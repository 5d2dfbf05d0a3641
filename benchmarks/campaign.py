"""Fault injection: ``prepare`` must process mutated MIDI files among good ones and report every file.

Mutations flip bits, cut off ends, falsify headers, insert huge deltas and nest chunks. The mixture is
prepared, and the good files alone: there must be no crash, no hang, one line of report for every file, and
the frames of the good files must be identical.

    python benchmarks/campaign.py [FOLDER] [--count 5000] [--seed 0]      # default: the bundled chorales
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from musicrnn.bundled import bundled
from musicrnn.corpus import Corpus, Preparation, build_corpus, collect


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Return a MIDI file damaged in one to three ways."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        rng.choice(MUTATIONS)(data, rng)
    return bytes(data)


def flip_bits(data: bytearray, rng: random.Random) -> None:
    """Flip one to thirty bits anywhere."""
    for _ in range(rng.randint(1, 30) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random) -> None:
    """Cut the end off."""
    del data[rng.randint(0, len(data)) :]


def falsify(data: bytearray, rng: random.Random) -> None:
    """Change the header, or the length of a chunk."""
    where = rng.choice([4, 8, 10, 12, 18, data.rfind(b"MTrk") + 4])
    data[where : where + rng.choice([1, 2, 4])] = rng.choice(
        [b"\xff", b"\x00", b"\x7f\xff", rng.randbytes(4)]
    )


def delay(data: bytearray, rng: random.Random) -> None:
    """Insert one to nine of the longest deltas that a MIDI file can have."""
    where = rng.randint(min(22, len(data)), len(data))
    data[where:where] = b"\xff\xff\xff\x7f\xff\x01\x00" * rng.randint(1, 9)


def nest(data: bytearray, rng: random.Random) -> None:
    """Put the file, or a part of it, into itself."""
    where, part = rng.randint(0, len(data)), bytes(data[rng.randint(0, len(data)) :])
    data[where:where] = rng.choice([bytes(data), part, b"MTrk" + len(part).to_bytes(4, "big") + part])


def fill(data: bytearray, rng: random.Random) -> None:
    """Overwrite a range with one byte, or with noise."""
    start = rng.randint(0, len(data))
    size = min(rng.randint(1, 200), len(data) - start)
    data[start : start + size] = rng.choice([bytes([rng.randrange(256)]) * size, rng.randbytes(size)])


MUTATIONS = (flip_bits, truncate, falsify, delay, nest, fill)


def mix(good: list[Path], folder: Path, count: int, seed: int) -> None:
    """Copy the good files to ``folder`` and add ``count`` mutated ones among them."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    for index, path in enumerate(good):
        shutil.copy(path, folder / f"{index:05d}-good.mid")
    for index in range(count):
        content = mutate(rng.choice(good).read_bytes(), rng)
        (folder / f"{rng.randrange(len(good)):05d}-mutated-{index:05d}.mid").write_bytes(content)


def run(source: Path, work: Path, count: int, seed: int, workers: int) -> Counter[str]:
    """Run the test in an empty folder.

    Returns:
        Number of mutated files for each reason, ``taken`` for those that were read.

    Raises:
        AssertionError: A file isn't reported, or the frames of a good one differ.
    """
    good = [Path(piece.path) for piece in collect([str(source)])]
    mix(good, work / "mixed", count, seed)
    mix(good, work / "good", 0, seed)
    made = {
        name: build_corpus(
            collect([str(work / name)]), Preparation(), work / f"{name}-corpus", workers=workers
        ).corpus
        for name in ("mixed", "good")
    }
    report = (work / "mixed-corpus" / "report.jsonl").read_text(encoding="utf-8").splitlines()
    lines = {line["name"]: line for line in map(json.loads, report)}
    files = {path.name for path in (work / "mixed").iterdir()}
    assert lines.keys() == files and len(report) == len(files), "a file has no line of report, or two"
    unexplained = [name for name, line in lines.items() if not (line.get("frames") or line.get("reason"))]
    assert not unexplained, f"no frames and no reason: {unexplained[:3]}"
    assert frames_of(made["mixed"], "good") == frames_of(made["good"], "good"), "good files differ"
    return Counter(line.get("reason", "taken") for name, line in lines.items() if "mutated" in name)


def frames_of(corpus: Corpus, word: str) -> dict[str, bytes]:
    """Return the frames of the pieces whose name contains a word."""
    named = ((piece.name, row) for row, piece in enumerate(corpus.pieces) if word in piece.name)
    return {name: corpus.roll(row).frames.tobytes() for name, row in named}


def main() -> int:
    """Run the test and print the number of files for each reason."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=bundled("data/chorales"))
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        counts = run(arguments.folder, Path(work), arguments.count, arguments.seed, arguments.workers)
    print(f"{arguments.count} mutated files, seed {arguments.seed}: {time.monotonic() - started:.0f} s")
    for reason, count in counts.most_common():
        print(f"  {count:6} {reason}")
    print("every file reported, good files bit-identical")
    return 0


if __name__ == "__main__":
    sys.exit(main())
