"""Layers of every cell with random weights, both ways to run them, and ways to compare results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from musicrnn.ops import CELLS, Cell, State, Weights, dispatch
from musicrnn.ops.kernels.workspace import Offsets, Workspace
from musicrnn.ops.scan import scan


class Variant(NamedTuple):
    """A cell with or without its options."""

    cell: Cell
    peepholes: bool = False

    def __str__(self) -> str:
        return self.cell.name + ("-peepholes" if self.peepholes else "")


VARIANTS = [Variant(cell) for cell in CELLS.values()]
VARIANTS.insert(2, Variant(CELLS["lstm"], peepholes=True))

each_cell = pytest.mark.parametrize("variant", VARIANTS, ids=str)
rolls_and_dense = pytest.mark.parametrize("roll", [False, True], ids=["dense", "roll"])


@dataclass(frozen=True)
class Case:
    """One call of a recurrence."""

    cell: Cell
    inputs: Tensor
    state: State
    weights: Weights
    mask: Tensor | None = None

    def change(self, function: Callable[[Tensor], Tensor]) -> Case:
        """Apply a function to every tensor of numbers and make new leaves of the results."""

        def leaf(tensor: Tensor) -> Tensor:
            return function(tensor.detach()).detach().requires_grad_(tensor.requires_grad)

        weights = Weights(*(tensor if tensor is None else leaf(tensor) for tensor in self.weights))
        return replace(self, inputs=leaf(self.inputs), state=tuple(map(leaf, self.state)), weights=weights)

    def detach(self) -> Case:
        """Return the same numbers where nothing needs a gradient."""
        return self.change(torch.clone).with_leaves(lambda name: False)

    def with_leaves(self, wanted: Callable[[str], bool]) -> Case:
        """Let only some tensors need gradients, chosen by their names."""
        for name, tensor in self.tensors().items():
            tensor.requires_grad_(wanted(name))
        return self

    def rows(self, which: slice) -> Case:
        """Return some rows of the batch."""
        mask = None if self.mask is None else self.mask[which]
        state = tuple(tensor[which] for tensor in self.state)
        return replace(self, inputs=self.inputs[which], state=state, mask=mask)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of numbers by their names."""
        weights = {name: tensor for name, tensor in self.weights._asdict().items() if tensor is not None}
        states = {f"state {number}": tensor for number, tensor in enumerate(self.state)}
        return {"inputs": self.inputs, **states, **{f"weights {name}": t for name, t in weights.items()}}

    def leaves(self) -> dict[str, Tensor]:
        """Return the tensors that need gradients by their names."""
        return {name: tensor for name, tensor in self.tensors().items() if tensor.requires_grad}


def make(
    variant: Variant,
    batch: int = 3,
    steps: int = 9,
    width: int = 5,
    hidden: int = 4,
    roll: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Case:
    """Sample a layer, a state and inputs; a roll is sparse, of zeros and ones, and needs no gradient.

    Every number is one that float32 holds, so that a case loses nothing on the way there.
    """
    cell = variant.cell
    generator = torch.Generator().manual_seed(0)

    def sample(*shape: int, scale: float = 1.0) -> Tensor:
        numbers = torch.randn(*shape, generator=generator) * (scale / shape[-1] ** 0.5)
        return numbers.to(dtype).requires_grad_()

    context = max(1, hidden // 4) if "context" in cell.optional else 0
    weights = Weights(
        sample(cell.gates * hidden, width),
        # rectified units are unbounded: this keeps them from exploding
        sample(cell.gates * (hidden - context), hidden, scale=0.5 if cell.name == "irnn" else 1.0),
        sample((cell.biases or cell.gates) * hidden, scale=hidden**0.5 / 2),
        sample(3, hidden, scale=hidden**0.5 / 3) if variant.peepholes else None,
        torch.rand(context, generator=generator).to(dtype).requires_grad_() if context else None,
    )
    inputs = sample(batch, steps, width, scale=width**0.5)
    if roll:
        inputs = (torch.rand(batch, steps, width, generator=generator) < 0.05).to(dtype)
    return Case(cell, inputs, tuple(sample(batch, hidden) for _ in range(cell.states)), weights)


def ragged(batch: int, steps: int) -> Tensor:
    """Return a mask: the first row has holes, the others end, the last of many at once."""
    mask = torch.arange(steps) < torch.linspace(steps, 0, batch).round()[:, None]
    mask[0, steps // 3 : steps // 2] = False
    mask[0, -steps // 4 :: 2] = False
    return mask


def naive(case: Case) -> tuple[Tensor, State]:
    """Run the equations."""
    return scan(case.cell, case.inputs, case.state, case.weights, case.mask)


def fused(case: Case) -> tuple[Tensor, State]:
    """Run the kernels."""
    kernels = dispatch.fused(case.cell)
    assert kernels is not None
    return kernels.sequence(case.inputs, case.state, case.weights, case.mask)


Way = Callable[[Case], tuple[Tensor, State]]

both_ways = pytest.mark.parametrize("way", [naive, fused])


def forward(way: Way, case: Case) -> dict[str, Tensor]:
    """Return outputs and last state by their names."""
    outputs, last = way(case)
    return {"outputs": outputs, **{f"last state {number}": tensor for number, tensor in enumerate(last)}}


def output_gradients(
    parts: dict[str, Tensor], arrange: Callable[[Tensor], Tensor] = torch.clone
) -> list[Tensor]:
    """Sample gradients of outputs and last state, arranged in memory by a function."""
    generator = torch.Generator().manual_seed(1)
    return [arrange(torch.randn(p.shape, generator=generator).to(p.dtype)) for p in parts.values()]


def results(
    way: Way, case: Case, arrange: Callable[[Tensor], Tensor] = torch.clone, keep: bool = False
) -> dict[str, Tensor]:
    """Return outputs, last state and the gradients of all leaves by their names."""
    return backward(forward(way, case), case, arrange, keep)


def backward(
    parts: dict[str, Tensor],
    case: Case,
    arrange: Callable[[Tensor], Tensor] = torch.clone,
    keep: bool = False,
) -> dict[str, Tensor]:
    """Return what a forward pass gave and the gradients of all leaves by their names."""
    leaves = case.leaves()
    gradients = torch.autograd.grad(
        list(parts.values()), list(leaves.values()), output_gradients(parts, arrange), retain_graph=keep
    )
    named = {f"gradient of {name}": g for name, g in zip(leaves, gradients, strict=True)}
    return {**{name: part.detach() for name, part in parts.items()}, **named}


LIMITS = {torch.float64: 1e-11, torch.float32: 1e-5}
"""How far results may be off, relative to their norm."""


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], limit: float) -> None:
    """Compare tensors by the norm of the difference, relative to the norm of what was expected."""
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].shape == expected[name].shape, name
        difference = (found[name].double() - expected[name].double()).norm().item()
        scale = expected[name].double().norm().item()
        assert difference <= limit * scale, f"{name}: off by {difference:.1e} of {scale:.1e}"


def assert_same_bits(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare tensors bit by bit."""
    assert found.keys() == expected.keys()
    for name in expected:
        a, b = found[name].detach().contiguous(), expected[name].detach().contiguous()
        assert a.dtype == b.dtype and a.shape == b.shape, name
        assert not torch.isnan(a).any(), f"{name}: NaN"
        assert a.numpy().tobytes() == b.numpy().tobytes(), f"{name}: {(a != b).sum()} of {a.numel()} differ"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own that finds this checkout."""
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": root, "PYTHONUTF8": "1", **environment},
        timeout=300,
    )


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use a number of threads in a context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def poisoned() -> Iterator[None]:
    """Fill memory that is not written yet with NaN, in workspaces and in torch's own empty tensors."""
    begin = Workspace.__init__

    def fill(self: Workspace, layout: Offsets, dtype: torch.dtype) -> None:
        begin(self, layout, dtype)
        self._numbers.fill_(torch.nan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "__init__", fill)
        patch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
        torch.use_deterministic_algorithms(True)
        try:
            assert torch.empty(1).isnan()
            yield
        finally:
            torch.use_deterministic_algorithms(False)
