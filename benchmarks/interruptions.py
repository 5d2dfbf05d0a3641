"""Fault injection: kill musicrnn at random moments and restart it; the resulting bytes must not change.

``prepare`` kills the preparation of a corpus. ``train`` repeatedly kills a training and resumes it, and
compares the final weights, byte for byte, and the losses of all epochs with those of an uninterrupted
training. Flags after ``--`` go to ``musicrnn train`` as well.

    python benchmarks/interruptions.py [prepare] [FOLDER] [--kills 20] [--copies 8] [--seed 0]
    python benchmarks/interruptions.py train [CORPUS] [--kills 25] [--seed 0] [-- --cell lstm]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import common
from musicrnn.bundled import bundled
from musicrnn.training.run import STATE

EARLY = 0.2
"""Share of the kills that may come before a resumed training has saved anything."""


def digest(folder: Path) -> str:
    """Return a checksum of the names and contents of all files in a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return total.hexdigest()


def command(source: Path, output: Path) -> list[str]:
    """Return the command to kill repeatedly."""
    return common.command("prepare", source, "-o", output, "--quiet")


def interrupted(source: Path, output: Path, kills: int, seconds: float, rng: random.Random) -> int:
    """Prepare a folder, killed at random moments and restarted; return the number of kills that hit."""
    hits = 0
    for _ in range(kills):
        with subprocess.Popen(command(source, output), stdout=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0, seconds))
            process.send_signal(signal.SIGKILL)
        hits += process.returncode == -signal.SIGKILL
    subprocess.run(command(source, output), check=True, stdout=subprocess.DEVNULL)
    return hits


def prepare(arguments: argparse.Namespace) -> int:
    """Compare the corpus of an uninterrupted run with those of interrupted ones."""
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
    print(f"uninterrupted: {seconds:.1f} s, {expected[:16]}")
    print(f"killed once, {arguments.kills} times ({hits} hit): {same} of {arguments.kills} the same bytes")
    print(f"killed {many} times in a row: {'the same bytes' if last else 'OTHER BYTES'}")
    return 0 if same == arguments.kills and last else 1


class Moment(NamedTuple):
    """Position of a training when it was killed: complete epochs saved, and batches of the next one."""

    epochs: int
    batches: int


class Result(NamedTuple):
    """Result of a training: bytes of the weights, losses of all epochs, seconds without imports."""

    weights: bytes
    losses: list[tuple[float, float]]
    seconds: float


class Training:
    """A training that can be killed and resumed.

    Args:
        corpus: The training corpus.
        run: Folder of the run.
        flags: Further flags of ``musicrnn train``.
    """

    def __init__(self, corpus: Path, run: Path, flags: Sequence[str]) -> None:
        self.run = run
        self._command = common.command("train", corpus, "-o", run, "--quiet", *flags)

    def finish(self) -> None:
        """Start or resume, and run to the end."""
        subprocess.run(self._resuming(), check=True, stdout=subprocess.DEVNULL)

    def kill(self, seconds: float, rng: random.Random) -> Moment | None:
        """Start or resume, and kill at a random moment; return the position, or None if it ended before.

        Args:
            seconds: Longest time from the first save to the kill. Some kills come earlier, at any moment
                since the start of the process.
            rng: Random generator.
        """
        early, pause, before = rng.random() < EARLY, rng.uniform(0, seconds), self.saved()
        with subprocess.Popen(self._resuming(), stdout=subprocess.DEVNULL) as process:
            while not early and process.poll() is None and self.saved() == before:
                time.sleep(0.02)
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        if process.returncode == -signal.SIGKILL:
            return self.moment()
        if process.returncode:
            raise SystemExit(f"{' '.join(self._command)}: exit code {process.returncode}")
        return None

    def saved(self) -> int:
        """Return a number that changes whenever the state is saved."""
        path = self.run / STATE
        return path.stat().st_mtime_ns if path.exists() else 0

    def moment(self) -> Moment:
        """Return the position of the saved state."""
        if not self.saved():
            return Moment(0, 0)
        content = (self.run / STATE).read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        position = json.loads(header["__metadata__"]["position"])
        return Moment(len(position["history"]), position["batch"])

    def result(self) -> Result:
        """Return weights, losses and duration."""
        lines = (self.run / "metrics.jsonl").read_text().splitlines()
        epochs = [json.loads(line) for line in lines]
        losses = [(epoch["train_nll"], epoch["valid_nll"]) for epoch in epochs]
        return Result((self.run / "model.safetensors").read_bytes(), losses, epochs[-1]["seconds"])

    def _resuming(self) -> list[str]:
        return [*self._command, "--resume"] if self.run.exists() else self._command


def train(arguments: argparse.Namespace) -> int:
    """Compare the weights of an uninterrupted training with those of an interrupted one."""
    rng, moments = random.Random(arguments.seed), list[Moment]()
    flags = ["--hidden", str(arguments.hidden), "--weight-noise", "0.075", "--patience", "1000000"]
    flags += ["--epochs", str(arguments.epochs), *arguments.flags]
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        corpus = common.find_corpus(arguments, work)
        whole = Training(corpus, work / "whole", flags)
        whole.finish()
        expected = whole.result()
        flags += ["--save-minutes", str(arguments.save_minutes)]
        interrupted = Training(corpus, work / "interrupted", flags)
        for _ in range(arguments.kills):
            moment = interrupted.kill(1.5 * expected.seconds / arguments.kills, rng)
            if moment is None:
                break
            moments.append(moment)
        interrupted.finish()
        found = interrupted.result()
    checksum, inside = hashlib.sha256(expected.weights).hexdigest(), sum(each.batches > 0 for each in moments)
    print(f"uninterrupted: {expected.seconds:.1f} s, {len(expected.losses)} epochs, {checksum[:16]}")
    print(f"killed {len(moments)} times, {inside} of them within an epoch; epochs + batches saved then:")
    print("  " + " ".join(f"{epochs}+{batches}" for epochs, batches in moments))
    print(f"weights: {'the same bytes' if found.weights == expected.weights else 'OTHER BYTES'}")
    same = found.losses == expected.losses
    print(f"losses of {len(found.losses)} epochs: {'the same' if same else 'OTHERS'}")
    enough = len(moments) == arguments.kills
    if not enough:
        print(f"ended after {len(moments)} of {arguments.kills} kills: use more --epochs")
    return 0 if same and found.weights == expected.weights and enough else 1


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line; the default command is ``prepare``."""
    words, flags = common.split_flags(words)
    if not words or words[0] not in ("prepare", "train", "-h", "--help"):
        words = ["prepare", *words]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    preparing = commands.add_parser("prepare", help="kill the preparation of a corpus")
    preparing.add_argument("folder", nargs="?", type=Path, default=bundled("data/chorales"))
    preparing.add_argument("--kills", type=int, default=20)
    preparing.add_argument("--copies", type=int, default=8)
    preparing.set_defaults(run=prepare)
    training = commands.add_parser("train", help="kill a training")
    common.add_corpus(training, "jsb")
    training.add_argument("--kills", type=int, default=25)
    training.add_argument("--hidden", type=int, default=46)
    training.add_argument("--epochs", type=int, default=100)
    training.add_argument("--save-minutes", type=float, default=0.001, help="of the interrupted training")
    training.set_defaults(run=train)
    for each in (preparing, training):
        each.add_argument("--seed", type=int, default=0)
    return argparse.Namespace(**vars(parser.parse_args(words)), flags=flags)


def main(words: list[str] | None = None) -> int:
    """Kill and compare."""
    arguments = parse(sys.argv[1:] if words is None else words)
    status: int = arguments.run(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
