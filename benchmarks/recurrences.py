"""A recurrent layer, forward and backward: the program's beside a loop over time steps and beside torch.nn.

For every unit and size it gives milliseconds; operations a second, of those in the definition; their share of
the rate of a plain matrix product measured at the same time; and the speed relative to the equations step by
step and to torch.nn's layer of the same kind, each on its fastest number of threads. Ours runs on torch's
default number. All get the same float32 inputs (B, T, D); a weighted sum of the outputs and its gradients
with respect to every parameter are timed. Ours and torch.nn's alternate, and the best turn of each counts. A
unit whose results differ from those of the equations in float64 is reported as wrong and not timed.
Operations on piano rolls are counted as if they were dense.

    python benchmarks/recurrences.py [--cell gru lstm …] [--inputs roll] [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from statistics import geometric_mean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from musicrnn.ops import CELLS, Cell, State, Weights
from musicrnn.ops.dispatch import fused, recurrence
from musicrnn.ops.scan import scan

LAYERS: dict[str, Callable[..., nn.RNNBase] | None] = {
    "gru": nn.GRU,
    "gru-reset-after": nn.GRU,
    "gru-simplified": nn.GRU,
    "tanh": nn.RNN,
    "irnn": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "lstm-peepholes": nn.LSTM,
    "scrn": None,
}
"""The measured units, and torch's layer of the same kind."""

TARGETS = {
    "gru": {"(46, 1)": 22.0, "(46, 8)": 7.0, "(46, 32)": 4.0, "(200, 32)": 1.6, "(200, 128)": 1.25}
    | {"mean": 3.5, "least": 1.0, "(200, 128) of peak": 0.4},
    "tanh": {"mean": 2.5, "least": 0.95},
    "lstm": {"mean": 1.2, "least": 0.95},
    **{cell: {"cost mean": 1.3, "cost most": 1.3} for cell in ("gru-simplified", "lstm-peepholes", "scrn")},
}
"""Bounds of the values of ``figures``: upper ones for costs, else lower ones."""

WIDTH, SOUNDING = 88, 4  # pitches, and those that sound in a frame of a roll
CHECKED_FRAMES, CHECKED_ROWS, TOLERANCE, PEAK_SIZE = 63, 8, 1e-5, 2048
TURN = 0.03  # seconds that a turn lasts at least
ONCE = 0.3  # seconds from which the loop over time steps gets one turn only


@dataclass
class Row:
    """Measurements at one size; NaN where there is none."""

    cell: str
    hidden: int
    batch: int
    error: float
    worst: str
    kernel: bool
    milliseconds: float = math.nan
    gflops: float = math.nan
    peak: float = math.nan
    loop_ratio: float = math.nan
    torch_ratio: float = math.nan

    @property
    def agrees(self) -> bool:
        """Whether the results are those of the equations."""
        return self.error < TOLERANCE

    def line(self) -> str:
        """Return the row as a line of the table."""
        start = f"{self.cell:16}{self.hidden:5}{self.batch:5}"
        if not self.agrees:
            return f"{start}   disagrees: {self.worst} is off by {self.error:.1e}"
        speed = f"{self.milliseconds:10.3f}{self.gflops:9.1f}{self.gflops / self.peak:9.1%}"
        ratios = f"{number(self.loop_ratio):>9}{number(self.torch_ratio):>9}"
        return start + speed + ratios + ("" if self.kernel else "   no kernel here")


class Layer(NamedTuple):
    """A layer with its inputs, and the weights of its outputs in the loss."""

    cell: Cell
    inputs: Tensor
    state: State
    weights: Weights
    loss: Tensor

    def run(self, function: Callable[..., tuple[Tensor, State]]) -> dict[str, Tensor]:
        """Run forward and backward; return outputs, last state and gradients."""
        outputs, last = function(self.cell, self.inputs, self.state, self.weights)
        parameters = {name: value for name, value in self.weights._asdict().items() if value is not None}
        found = torch.autograd.grad((outputs * self.loss).sum(), list(parameters.values()))
        gradients = {f"gradient of {name}": value for name, value in zip(parameters, found, strict=True)}
        return {"outputs": outputs, **{f"state {i}": value for i, value in enumerate(last)}, **gradients}

    def exact(self, rows: Tensor) -> Layer:
        """Return the same in float64 for some rows of the batch."""
        weights = [None if w is None else w.detach().double().requires_grad_() for w in self.weights]
        inputs, *state, loss = (each[rows].double() for each in (self.inputs, *self.state, self.loss))
        return Layer(self.cell, inputs, tuple(state), Weights._make(weights), loss)

    def operations(self) -> float:
        """Count multiplications and additions: of W and U forward, and backward but for the inputs."""
        (batch, frames, width), rows = self.inputs.shape, len(self.weights.input)
        return 2.0 * batch * frames * (2 * rows * width + 3 * self.weights.hidden.numel())


def make(name: str, hidden: int, batch: int, frames: int, inputs: str) -> Layer:
    """Return a layer with random numbers from a fixed seed."""
    torch.manual_seed(0)
    cell = CELLS[name.removesuffix("-peepholes")]
    context = max(1, hidden // 4) if cell.name == "scrn" else 0
    w = torch.randn(cell.gates * hidden, WIDTH) / WIDTH**0.5
    u = torch.randn(cell.gates * (hidden - context), hidden) / hidden**0.5
    u *= 0.5 if cell.name == "irnn" else 1.0  # unbounded units must not grow
    bias = torch.randn((cell.biases or cell.gates) * hidden)
    peepholes = 0.1 * torch.randn(3, hidden) if name == "lstm-peepholes" else None
    weights = [w, u, bias, peepholes, torch.rand(context) if context else None]
    x = torch.randn(batch, frames, WIDTH)
    if inputs == "roll":
        x = torch.zeros_like(x).scatter_(2, x.topk(SOUNDING).indices, 1.0)
    state = tuple(torch.randn(batch, hidden) for _ in range(cell.states))
    leaves = Weights._make(None if each is None else each.requires_grad_() for each in weights)
    return Layer(cell, x, state, leaves, torch.randn(batch, frames, hidden))


def worst_error(layer: Layer) -> tuple[float, str]:
    """Compare with the equations in float64; return the largest relative error of norms, and of which tensor.

    The whole batch runs, as it does when measured, but only a few rows are compared and in the loss.
    """
    rows = torch.linspace(0, len(layer.loss) - 1, min(len(layer.loss), CHECKED_ROWS)).round().long()
    loss = torch.zeros_like(layer.loss).index_copy(0, rows, layer.loss[rows])
    ours, errors = layer._replace(loss=loss).run(recurrence), []
    for what, exact in layer.exact(rows).run(scan).items():
        seen = ours[what] if what.startswith("gradient") else ours[what][rows]
        error = ((seen - exact).norm() / exact.norm()).item()
        errors.append((math.inf if math.isnan(error) else error, what))
    return max(errors)


def torch_layer(name: str, layer: Layer) -> Callable[[], object] | None:
    """Return a function that runs torch's layer of the same kind forward and backward."""
    kind = LAYERS[name]
    if kind is None:
        return None
    module = kind(WIDTH, layer.loss.shape[2], batch_first=True)
    parameters = list(module.parameters())
    return lambda: torch.autograd.grad((module(layer.inputs)[0] * layer.loss).sum(), parameters)


def clock(run: Callable[[], object], threads: int) -> float:
    """Return the seconds of a run, averaged over a turn."""
    torch.set_num_threads(threads)
    runs, seconds, started = 0, 0.0, time.perf_counter()
    while seconds < TURN:
        run()
        runs, seconds = runs + 1, time.perf_counter() - started
    return seconds / runs


class Bench:
    """Settings of all measurements: frames of a sequence, dense or rolls, and turns of each."""

    def __init__(self, frames: int, inputs: str, repeats: int) -> None:
        self.frames, self.inputs, self.repeats = frames, inputs, repeats
        self.threads, processors = torch.get_num_threads(), os.cpu_count() or 1
        steps = {factor << power for factor in (1, 3) for power in range(processors.bit_length())}
        self.counts = sorted({n for n in steps if n < processors} | {processors, self.threads})
        a, b = torch.randn(2, PEAK_SIZE, PEAK_SIZE)
        self.product = partial(torch.mm, a, b, out=torch.empty_like(a))

    def measure(self, name: str, hidden: int, batch: int) -> Row:
        """Check a unit at one size and, if it agrees, time it beside the others."""
        torch.set_num_threads(self.threads)
        checked = make(name, hidden, batch, min(self.frames, CHECKED_FRAMES), self.inputs)
        row = Row(name, hidden, batch, *worst_error(checked), kernel=fused(checked.cell) is not None)
        if not row.agrees:
            return row
        layer = make(name, hidden, batch, self.frames, self.inputs)
        ours, theirs = partial(layer.run, recurrence), torch_layer(name, layer)
        ours()
        mine, other, products = [], [], []
        counts = self.fast_counts(theirs) if theirs else [self.threads]
        for _ in range(self.repeats):
            products += [clock(self.product, count) for count in self.counts]
            for count in counts:
                mine.append(clock(ours, self.threads))
                other += [clock(theirs, count)] if theirs else []
        best, row.peak = min(mine), 2 * PEAK_SIZE**3 / min(products) / 1e9
        row.milliseconds, row.gflops = 1e3 * best, layer.operations() / best / 1e9
        row.loop_ratio = self.loop_seconds(layer) / best
        row.torch_ratio = min(other) / best if other else math.nan
        return row

    def fast_counts(self, run: Callable[[], object]) -> list[int]:
        """Return the numbers of threads to try; if they are many, those that aren't clearly slow."""
        run()
        if len(self.counts) <= 2:
            return self.counts
        seconds = {count: clock(run, count) for count in self.counts}
        return [count for count in self.counts if seconds[count] < 2 * min(seconds.values())]

    def loop_seconds(self, layer: Layer) -> float:
        """Return the best time of the equations step by step."""
        loop = partial(layer.run, scan)
        first = min(clock(loop, count) for count in self.counts)
        again = (self.repeats - 1) * self.counts if first < ONCE else []
        return min([first, *(clock(loop, count) for count in again)])


def figures(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Return for each unit its ratios to torch.nn and, as its cost, to gru's time for an operation."""
    places = {(row.cell, row.hidden, row.batch): row for row in rows}
    found: dict[str, dict[str, float]] = {}
    for cell in dict.fromkeys(row.cell for row in rows):
        mine, ratios, costs = found.setdefault(cell, {}), [], []
        for row in (row for row in rows if row.cell == cell):
            size, gru = f"({row.hidden}, {row.batch})", places.get(("gru", row.hidden, row.batch))
            mine |= {size: row.torch_ratio, f"{size} of peak": row.gflops / row.peak}
            ratios += [row.torch_ratio] if LAYERS[cell] else []
            costs += [gru.gflops / row.gflops] if gru else []
        if ratios:
            mine |= {"mean": geometric_mean(ratios), "least": torch.tensor(ratios).min().item()}
        if costs:
            mine |= {"cost mean": geometric_mean(costs), "cost most": torch.tensor(costs).max().item()}
    return found


def number(value: float | None) -> str:
    """Write a ratio."""
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", nargs="+", choices=list(LAYERS), default=list(LAYERS))
    parser.add_argument("--hidden", nargs="+", type=int, default=[46, 100, 200, 400])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8, 32, 128])
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--inputs", choices=["dense", "roll"], default="dense")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one document to stdout, the table to stderr")
    parser.add_argument("--quick", action="store_true", help="two small sizes, few repeats")
    if parser.parse_args(words).quick:
        parser.set_defaults(hidden=[46], batch=[1, 8], frames=50, repeats=2)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Measure all sizes; return 1 if a unit disagrees."""
    options = parse(words)
    say = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    bench, rows = Bench(options.frames, options.inputs, options.repeats), []
    say(f"torch {torch.__version__}, {os.cpu_count()} processors, ours on {bench.threads} threads")
    say(f"B sequences of {options.frames} frames, D = {WIDTH}, {options.inputs}; forward and backward")
    say(f"{'':16}{'H':>5}{'B':>5}{'ms':>10}{'GFLOP/s':>9}{'of peak':>9}{'x loop':>9}{'x torch':>9}")
    for hidden, batch, cell in itertools.product(options.hidden, options.batch, options.cell):
        rows.append(bench.measure(cell, hidden, batch))
        say(rows[-1].line())
    peaks, found = [row.peak for row in rows if row.agrees] or [math.nan], figures(rows)
    say(f"peak, by torch.mm of size {PEAK_SIZE}: {min(peaks):.1f} to {max(peaks):.1f} GFLOP/s\n")
    say(f"{'':16}{'x torch':>18}{'time an operation, gru = 1':>30}")
    say(f"{'':16}{'mean':>9}{'least':>9}{'mean':>21}{'most':>9}")
    for cell, mine in found.items():
        ratios = f"{number(mine.get('mean')):>9}{number(mine.get('least')):>9}"
        say(f"{cell:16}{ratios}{number(mine.get('cost mean')):>21}{number(mine.get('cost most')):>9}")
    say(f"\ntargets, from {len(options.hidden) * len(options.batch)} sizes")
    for cell, bounds in TARGETS.items():
        for what, bound in bounds.items():
            seen, highest = found.get(cell, {}).get(what), what.startswith("cost")
            met = seen is not None and (seen <= bound if highest else seen >= bound)  # NaN is not
            verdict = "not measured" if seen is None else "met" if met else "missed"
            say(f"{cell:16}{what:20}{'<=' if highest else '>='} {bound:<6g}{number(seen):>9}  {verdict}")
    if options.json:
        table = [{**asdict(row), "agrees": row.agrees} for row in rows]
        document = {"options": vars(options), "rows": table, "figures": found, "targets": TARGETS}
        print(json.dumps(json.loads(json.dumps(document), parse_constant=lambda _: None)))  # null for NaN
    return 0 if all(row.agrees for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
