"""What several benchmarks share: commands, corpora, options, and the memory of processes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def command(name: str, *arguments: object) -> list[str]:
    """Return the command line of a musicrnn command."""
    return [sys.executable, "-m", "musicrnn", name, *map(str, arguments)]


def prepared(source: str, folder: Path) -> Path:
    """Prepare a data set known by its name, or files, in a folder; return the corpus."""
    target = folder / "corpus"
    subprocess.run(command("prepare", source, "-o", target, "--quiet"), check=True, stdout=subprocess.DEVNULL)
    return target


def add_corpus(parser: argparse.ArgumentParser, source: str) -> None:
    """Add the options that name a corpus, read by ``find_corpus``; ``source`` is the default."""
    parser.add_argument("corpus", nargs="?", type=Path, help="a prepared corpus")
    parser.add_argument("--source", default=source, help="what to prepare if no corpus is given")


def find_corpus(options: argparse.Namespace, work: Path) -> Path:
    """Return the corpus that the options name, prepared in ``work`` if need be."""
    return options.corpus or prepared(options.source, work)


def split_flags(words: list[str]) -> tuple[list[str], list[str]]:
    """Split a command line at ``--``; return the words before and after it."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def proc_bytes(process: int, file: str, field: str) -> int:
    """Return a field such as ``VmRSS`` of a file of a process under /proc, in bytes; Linux only.

    Raises:
        OSError: The process has ended.
    """
    lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
