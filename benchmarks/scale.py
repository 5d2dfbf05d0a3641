"""Peak memory and time per file of ``musicrnn prepare`` as collections grow. Linux only: it reads /proc.

Memory is that of all processes together: their proportional set sizes, sampled twenty times a second.

    python benchmarks/scale.py [FOLDER] [--counts 5000 50000]      # default: the bundled chorales
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.common import command, proc_bytes
from musicrnn.bundled import bundled
from musicrnn.corpus import collect


def copy(files: list[Path], folder: Path, count: int) -> None:
    """Fill a folder with ``count`` copies, a thousand in each subfolder."""
    for index in range(count):
        below = folder / f"{index // 1000:03d}"
        below.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[index % len(files)], below / f"{index:06d}{files[index % len(files)].suffix}")


def descendants(root: int) -> list[int]:
    """Return a process and all its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def memory(process: int) -> int:
    """Return the proportional set size of a process, in bytes; 0 if it has ended."""
    try:
        return proc_bytes(process, "smaps_rollup", "Pss")
    except OSError:
        return 0


def measure(folder: Path, output: Path, workers: int) -> tuple[dict[str, object], int]:
    """Prepare a folder; return the JSON document of the command, and the peak memory in bytes."""
    words, peak = command("prepare", folder, "-o", output, "--json", "-q", "--workers", workers), 0
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(memory, descendants(process.pid))))
            time.sleep(0.05)
        assert process.stdout is not None
        return json.loads(process.stdout.read()), peak


def main() -> None:
    """Measure every size, and print each beside the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=bundled("data/chorales"))
    parser.add_argument("--counts", type=int, nargs="+", default=[5000, 50000])
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    files = [Path(piece.path) for piece in collect([str(arguments.folder)])]
    first: tuple[float, float] | None = None
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as work:
            copy(files, Path(work) / "midi", count)
            document, peak = measure(Path(work) / "midi", Path(work) / "corpus", arguments.workers)
            size = sum(path.stat().st_size for path in (Path(work) / "corpus").iterdir())
        seconds, frames = float(str(document["seconds"])), int(str(document["frames"]))
        first = first or (peak, seconds / count)
        print(
            f"{count:8,} files {frames:12,} frames  {seconds:8.1f} s  {1e3 * seconds / count:6.3f} ms/file "
            f"({seconds / count / first[1]:.2f})  {peak / 2**20:6.0f} MiB peak ({peak / first[0]:.2f})  "
            f"{size / 2**20:7.1f} MiB on disk",
            flush=True,
        )


if __name__ == "__main__":
    main()
