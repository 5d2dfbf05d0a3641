"""Training: the whole loop of musicrnn beside a plain script around ``torch.nn.GRU``, and its memory.

Speed is frames per second through the whole update: loading, weight noise, forward, backward, clipping, Adam.
Both sides train on the same pieces in the same batches, in alternating rounds whose medians are compared. The
plain script (see ``plain.py``) uses the better of one thread and all; musicrnn chooses its own number.

The share in kernels and matrix products is of the wall time of musicrnn's rounds. Kernels: their calls
(``Entry.__call__``) are timed in the measured rounds themselves. Products: one more round runs under
``torch.profiler``, which gives the time that the calling thread spends in ``aten::mm``, ``addmm`` and the
like; that of a batch is divided by the median time of a batch. Products inside kernels count as kernels.

Memory is the resident set of a ``musicrnn train`` process after every epoch, observed from outside. The
allocator keeps a varying part of what was freed, so growth is measured by minima over several epochs: of the
later half against the earlier, without the first.
``--corpus-gigabytes`` writes a corpus of that size from copies, and measures the time from the start of such
a process until its first update is saved, and its memory then and some batches later. The files were just
written, so they are in the page cache if they fit.

    python benchmarks/training.py [CORPUS] [--corpus-gigabytes 5]      # default: Nottingham, downloaded
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import common, corpora, plain, processes
from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.batches import training_order
from musicrnn.errors import ModelError
from musicrnn.ops.kernels.compile import Entry
from musicrnn.training import Recipe
from musicrnn.training.callbacks import Callback
from musicrnn.training.loop import train

RATIOS = {46: 3.0, 200: 1.4}
"""Least speed-up over the plain script, by hidden units."""

SHARE = 0.85
"""Least share of the time in kernels and matrix products."""

GROWTH = 4 * 2**20
"""Largest growth of memory, in bytes: from the minimum of the earlier half of epochs to that of the later."""

FIRST_BATCH = 5.0
"""Largest time until the first update on the large corpus, in seconds."""

RESIDENT = 1500
"""Largest memory with the large corpus, in megabytes."""

PRODUCTS = {f"aten::{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv")}


class Finished(Exception):  # noqa: N818
    """All batches to measure were trained on."""


class Stopwatch(Callback):
    """Records when each batch was completed, and ends the training after ``batches`` of them.

    Args:
        batches: Number of batches; the first isn't measured, since set-up precedes it.
        figure: Returns a figure to record beside the time.
        on_first: Called when the first batch is completed.
    """

    def __init__(
        self, batches: int, figure: Callable[[], float] = float, on_first: Callable[[], object] = float
    ) -> None:
        self.times, self.frames, self.figures = list[float](), list[int](), list[float]()
        self.threads = 0
        self._batches, self._figure, self._on_first = batches, figure, on_first

    def advance(self, frames: int) -> None:
        """Record the time."""
        self.times.append(time.perf_counter())
        self.figures.append(self._figure())
        self.frames.append(frames)
        if len(self.times) == 1:
            self.threads = torch.get_num_threads()
            self._on_first()
        if len(self.times) == self._batches:
            raise Finished

    @property
    def seconds(self) -> float:
        """Duration of the measured batches."""
        return self.times[-1] - self.times[0]


class Speed:
    """Measures one size.

    Args:
        corpus: The training corpus.
        recipe: The recipe; both sides use its weight noise, clipping and learning rate.
        batches: Batches per round.
    """

    def __init__(self, corpus: Corpus, recipe: Recipe, batches: int) -> None:
        self.corpus, self.recipe = corpus, recipe
        split = corpus["train"]
        self.order = training_order(split, recipe.batch_size, [recipe.seed, 0])[:batches]
        self.frames = [int(split.lengths[batch].sum()) for batch in self.order]
        self.measured = sum(self.frames[1:])
        self.pieces = plain.rolls(corpus, "train")

    def ours(self, watch: Stopwatch) -> Stopwatch:
        """Train with musicrnn under a stopwatch."""
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Finished):
            train(self.corpus, self.recipe, Path(folder) / "run", callbacks=[watch])
        if watch.frames != self.frames:
            raise ModelError(f"expected batches of {self.frames} frames, found {watch.frames}")
        return watch

    def theirs(self, threads: int) -> float:
        """Train with the plain script; return the seconds."""
        before, times = torch.get_num_threads(), list[float]()
        torch.set_num_threads(threads)
        torch.manual_seed(self.recipe.seed)
        model = plain.PlainGRU(self.corpus.layout.width, self.recipe.network.recurrent.hidden)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.recipe.initial_rate)
        noise, norm = self.recipe.weight_noise, self.recipe.clip_norm
        plain.train(model, optimizer, self.pieces, recorded(self.order, times), noise, norm)
        torch.set_num_threads(before)
        return times[-1] - times[0]

    def products(self) -> float:
        """Return the seconds in matrix products, by torch's profiler."""
        profiler = profile(activities=[ProfilerActivity.CPU])
        self.ours(Stopwatch(len(self.order), on_first=profiler.start))
        profiler.stop()
        events = profiler.key_averages()
        return 1e-6 * sum(event.self_cpu_time_total for event in events if event.key in PRODUCTS)

    def measure(self, rounds: int) -> dict[str, Any]:
        """Measure both in alternating rounds; return the figures."""
        counts = sorted({1, os.cpu_count() or 1})
        theirs: dict[int, list[float]] = {threads: [] for threads in counts}
        ours, kernels, threads = list[float](), list[float](), 0
        self.ours(Stopwatch(len(self.order)))  # compiles kernels, and reads the pieces
        with timed(Entry, "__call__") as spent:
            for _ in range(rounds):
                watch = self.ours(Stopwatch(len(self.order), figure=lambda: spent[0]))
                ours.append(watch.seconds)
                kernels.append((watch.figures[-1] - watch.figures[0]) / watch.seconds)
                threads = watch.threads
                for count in counts:
                    theirs[count].append(self.theirs(count))
        best = min(counts, key=lambda count: median(theirs[count]))
        seconds, products = median(ours), self.products()
        return {
            "hidden": self.recipe.network.recurrent.hidden,
            "frames_per_second": self.measured / seconds,
            "threads": threads,
            "plain_frames_per_second": self.measured / median(theirs[best]),
            "plain_threads": best,
            "ratio": median(theirs[best]) / seconds,
            "kernels": median(kernels),
            "products": products / seconds,
            "share": median(kernels) + products / seconds,
            "rounds": [self.measured / each for each in ours],
            "plain_rounds": [self.measured / each for each in theirs[best]],
        }


def recorded(batches: Iterable[list[int]], times: list[float]) -> Iterator[list[int]]:
    """Yield batches, and record when each was completed."""
    for batch in batches:
        yield batch
        times.append(time.perf_counter())


@contextlib.contextmanager
def timed(owner: type, name: str) -> Iterator[list[float]]:
    """Accumulate the seconds spent in a method in the single entry of the yielded list."""
    spent, method = [0.0], getattr(owner, name)

    def call(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*arguments, **named)
        finally:
            spent[0] += time.perf_counter() - started

    with mock.patch.object(owner, name, call):
        yield spent


def start_large(corpus: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write a large corpus of copies, measure the start of a training on it, and remove it."""
    hidden = options.hidden[0]
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = work / f"copies-{options.corpus_gigabytes:g}"
        if not options.keep:
            stack.callback(shutil.rmtree, target, ignore_errors=True)
        if target.exists():
            large = open_corpus(target)
        else:
            large = corpora.write_copies(open_corpus(corpus), target, 1e9 * options.corpus_gigabytes)
        runs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes.start(corpus, runs / "small", hidden, 1)  # compiles
        figures = processes.start(target, runs / "large", hidden, options.later)
        pieces, frames = len(large.pieces), large.frames
    return {"gigabytes": options.corpus_gigabytes, "pieces": pieces, "frames": frames, **figures}


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_corpus(parser, "nottingham")
    parser.add_argument("--only", choices=["speed", "memory", "start"], nargs="+", default=[])
    parser.add_argument("--hidden", type=int, nargs="+", default=list(RATIOS))
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--batches", type=int, default=33, help="per round; the first isn't measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weight-noise", type=float, default=0.075)
    parser.add_argument("--epochs", type=int, default=9, help="epochs over which memory is measured")
    parser.add_argument("--corpus-gigabytes", type=float, help="measure the start on a corpus of this size")
    parser.add_argument(
        "--later", type=int, default=2000, help="batches after which memory is measured again"
    )
    parser.add_argument("--work", type=Path, help="folder of the large corpus")
    parser.add_argument("--keep", action="store_true", help="don't remove the large corpus")
    parser.add_argument("--json", action="store_true", help="one document to stdout, the table to stderr")
    options = parser.parse_args(words)
    if options.epochs < 3:
        parser.error(f"--epochs must be at least 3, got {options.epochs}")
    options.only = options.only or ["speed", "memory"] + ["start"] * (options.corpus_gigabytes is not None)
    options.corpus_gigabytes = options.corpus_gigabytes or 5.0
    return options


def main(words: list[str] | None = None) -> int:
    """Measure and print; return 1 if a target is missed."""
    options = parse(words)
    report = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    document: dict[str, Any] = {"speed": [], "memory": {}, "start": {}}
    targets: list[tuple[str, bool]] = []
    with tempfile.TemporaryDirectory() as work:
        path = common.find_corpus(options, Path(work))
        if "speed" in options.only:
            speed(open_corpus(path), options, report, document["speed"], targets)
        if "memory" in options.only:
            for hidden in options.hidden:
                run = Path(work) / f"run-{hidden}"
                found = document["memory"][hidden] = processes.memory_by_epoch(
                    path, run, hidden, options.epochs
                )
                report(
                    f"H = {hidden}, MiB after each epoch: "
                    + " ".join(f"{each / 2**20:.1f}" for each in found)
                )
                half = 1 + len(found) // 2
                growth = min(found[half:]) - min(found[1:half])
                targets.append(
                    (f"H = {hidden}: memory grows by at most {GROWTH >> 20} MiB", growth <= GROWTH)
                )
        if "start" in options.only:
            found = document["start"] = start_large(path, options)
            report(
                "{gigabytes:g} GB, {pieces:,} pieces: "
                "first batch after {seconds:.1f} s in {megabytes:,.0f} MB, "
                "batch {later_batches} after {later_seconds:.1f} s in {later_megabytes:,.0f} MB "
                "({mapped_megabytes:,.0f} MB pages of files), peak {peak_megabytes:,.0f} MB".format(**found)
            )
            targets.append((f"first batch within {FIRST_BATCH:g} s", found["seconds"] < FIRST_BATCH))
            targets.append((f"memory below {RESIDENT:,} MB", found["peak_megabytes"] < RESIDENT))
    for text, met in targets:
        report(f"target: {text}: {'met' if met else 'missed'}")
    if options.json:
        print(json.dumps({**document, "targets": dict(targets)}))
    return 0 if all(met for _, met in targets) else 1


def speed(
    corpus: Corpus,
    options: argparse.Namespace,
    report: Callable[[str], None],
    rows: list[dict[str, Any]],
    targets: list[tuple[str, bool]],
) -> None:
    """Measure the speed of every size; add to rows and targets."""
    report(f"gru on {corpus.name}, batches of {options.batch_size}, weight noise {options.weight_noise:g}")
    report(f"{'':26}{'frames/s':>21}{'threads':>9}{'':7}{'share of time in':>28}")
    report(f"{'H':>5}{'musicrnn':>21}{'plain':>18}{'ratio':>9}{'kernels':>9}{'products':>10}{'both':>7}")
    for hidden in options.hidden:
        recipe = Recipe.of(
            hidden=hidden,
            batch_size=options.batch_size,
            weight_noise=options.weight_noise,
            input_noise=0.0,
            epochs=1,
        )
        row = Speed(corpus, recipe, options.batches).measure(options.rounds)
        rows.append(row)
        report(
            f"{hidden:>5}{row['frames_per_second']:>17,.0f} ({row['threads']})"
            f"{row['plain_frames_per_second']:>14,.0f} ({row['plain_threads']}){row['ratio']:>9.2f}"
            f"{row['kernels']:>9.0%}{row['products']:>10.0%}{row['share']:>7.0%}"
        )
        if hidden in RATIOS:
            wanted = RATIOS[hidden]
            text = f"H = {hidden}: at least {wanted:g} times the plain script"
            targets.append((text, row["ratio"] >= wanted))
            targets.append((f"H = {hidden}: {SHARE:.0%} in kernels and products", row["share"] >= SHARE))


if __name__ == "__main__":
    sys.exit(main())
