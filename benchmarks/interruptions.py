"""Kill ``musicrnn prepare`` at random moments; the same command goes on, and the bytes are always the same.

python benchmarks/interruptions.py [FOLDER] [--kills 20] [--copies 8] [--seed 0]
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from musicrnn.bundled import bundled


def digest(folder: Path) -> str:
    """Return a checksum of the names and bytes of all files of a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return total.hexdigest()


def command(source: Path, output: Path) -> list[str]:
    """Return the command that is killed again and again."""
    return [sys.executable, "-m", "musicrnn", "prepare", str(source), "-o", str(output), "--quiet"]


def interrupted(source: Path, output: Path, kills: int, seconds: float, rng: random.Random) -> int:
    """Prepare a folder, killed at random moments and started again each time; return the kills that hit."""
    hits = 0
    for _ in range(kills):
        with subprocess.Popen(command(source, output), stdout=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0, seconds))
            process.send_signal(signal.SIGKILL)
        hits += process.returncode == -signal.SIGKILL
    subprocess.run(command(source, output), check=True, stdout=subprocess.DEVNULL)
    return hits


def main() -> int:
    """Compare the corpus of an undisturbed run with those of disturbed ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=bundled("data/chorales"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        for index in range(arguments.copies):
            shutil.copytree(arguments.folder, work / "midi" / f"copy-{index:03d}")
        started = time.monotonic()
        subprocess.run(command(work / "midi", work / "whole"), check=True, stdout=subprocess.DEVNULL)
        seconds, expected = time.monotonic() - started, digest(work / "whole")
        hits = same = 0
        for trial in range(arguments.kills):  # one kill each, then all kills on one corpus
            hits += interrupted(work / "midi", work / f"one-{trial}", 1, seconds, rng)
            same += digest(work / f"one-{trial}") == expected
            shutil.rmtree(work / f"one-{trial}")
        many = interrupted(work / "midi", work / "many", arguments.kills, seconds / 4, rng)
        last = digest(work / "many") == expected
    print(f"undisturbed: {seconds:.1f} s, {expected[:16]}")
    print(f"killed once, {arguments.kills} times ({hits} hit): {same} of {arguments.kills} the same bytes")
    print(f"killed {many} times in a row: {'the same bytes' if last else 'OTHER BYTES'}")
    return 0 if same == arguments.kills and last else 1


if __name__ == "__main__":
    sys.exit(main())
