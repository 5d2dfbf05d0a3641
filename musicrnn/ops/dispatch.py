"""The cells, and the choice of how each is computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from musicrnn.errors import UsageError
from musicrnn.ops import choices, library
from musicrnn.ops.bernoulli import naive as _bernoulli
from musicrnn.ops.cell import Cell, State, Weights
from musicrnn.ops.choices import Work
from musicrnn.ops.gru import naive as _gru
from musicrnn.ops.gru_reset_after import naive as _gru_reset_after
from musicrnn.ops.gru_simplified import naive as _gru_simplified
from musicrnn.ops.irnn import naive as _irnn
from musicrnn.ops.lstm import naive as _lstm
from musicrnn.ops.scan import scan
from musicrnn.ops.scrn import naive as _scrn
from musicrnn.ops.tanh import naive as _tanh

if TYPE_CHECKING:
    from musicrnn.ops.kernels.generator import CompiledGenerator
    from musicrnn.ops.kernels.recurrence import Fused

CELLS = {
    cell.name: cell
    for cell in (
        Cell("tanh", 1, _tanh.bind, library=library.tanh),
        Cell("lstm", 4, _lstm.bind, states=2, library=library.lstm, optional=("peepholes",)),
        Cell("gru", 3, _gru.bind),
        Cell("gru-reset-after", 3, _gru_reset_after.bind, biases=4, library=library.gru_reset_after),
        Cell("gru-simplified", 2, _gru_simplified.bind),
        Cell("irnn", 1, _irnn.bind),
        Cell("scrn", 1, _scrn.bind, optional=("context",)),
    )
}
"""The cells by the names that ``--cell`` takes."""


def cell_named(name: str) -> Cell:
    """Return the cell of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in CELLS:
        raise UsageError(f"cell must be one of {', '.join(CELLS)}, got {name!r}")
    return CELLS[name]


def fused(cell: Cell) -> Fused | None:
    """Return the kernels of a cell, or None where kernels can't be compiled."""
    kernels = _kernels(cell.name.replace("-", "_"))
    return None if kernels is None else kernels.FUSED


@cache
def _kernels(folder: str) -> Any:
    """Return the module with the kernels of a folder, or None where kernels can't be compiled."""
    try:
        import_module("musicrnn.ops.kernels.product").packer(torch.float32)  # raises where nothing compiles
        return import_module(f"musicrnn.ops.{folder}.fused")
    except Exception as error:  # numba is missing or doesn't fit: the equations work all the same
        _warn(f"{error}".partition("\n")[0])
        return None


@cache
def _warn(reason: str) -> None:
    logging.getLogger("musicrnn.ops").warning(
        "fast kernels are not available (%s); using slower code", reason
    )


def recurrence(
    cell: Cell, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
) -> tuple[Tensor, State]:
    """Run one recurrent layer over a batch of sequences.

    A CPU runs the cell's kernel, or oneDNN's where ``choices`` says that it is faster; a GPU cuDNN's, if it
    has exactly this function. Everything else goes through the equations, step by step: other devices and
    types of number, and machines without numba.

    Args:
        cell: The recurrent unit.
        inputs: Shape (B, T, D).
        state: State before the first frame, tensors of shape (B, H).
        weights: The layer's parameters.
        mask: True on real frames, shape (B, T); on others the state stays as it is. None: all are real.

    Returns:
        Outputs, shape (B, T, H), and the state after the last real frame of each row.

    Raises:
        ValueError: Shapes or types of number don't fit together.
    """
    _check(cell, inputs, state, weights, mask)
    plain = cell.library is not None and mask is None and weights.peepholes is None
    if inputs.is_cuda and plain:
        return cell.library(inputs, state, weights)  # type: ignore[misc]
    if _has_kernels(inputs) and inputs.numel():
        narrow = inputs.dtype == torch.float32
        if plain and narrow and choices.library_wins(cell.name, inputs.shape[0], weights.hidden.shape[1]):
            return cell.library(inputs, state, weights)  # type: ignore[misc]
        kernel = fused(cell)
        if kernel is not None:
            return kernel.sequence(inputs, state, weights, mask)
    return scan(cell, inputs, state, weights, mask)


def recurrence_work(cell: Cell, rows: int, frames: float, input_size: int, hidden: int) -> Work:
    """Return the work of a recurrence over sequences of T frames, D inputs and H units: its products."""
    step = 2.0 * rows * cell.gates * hidden
    return Work(3 * step * frames * (input_size + hidden), 0.0 if fused(cell) else step * hidden)


def compiled_generator(
    cell: Cell,
    layers: Sequence[Weights],
    head: Tensor,
    head_bias: Tensor,
    state: Sequence[State],
    before: Tensor,
    pitches: int,
) -> CompiledGenerator | None:
    """Return a ``CompiledGenerator``; None where kernels can't be compiled, or not for these tensors."""
    kernels = fused(cell) if _has_kernels(head) else None
    if kernels is None:
        return None
    from musicrnn.ops.kernels.generator import CompiledGenerator

    return CompiledGenerator(kernels, layers, head, head_bias, state, before, pitches)


def bernoulli_nll(logits: Tensor, frames: Tensor) -> Tensor:
    """Return the negative log-likelihood of binary frames under independent sigmoids.

    Args:
        logits: Log-odds of every cell, shape (..., D).
        frames: Zeros and ones of that shape, to which no gradient flows.

    Returns:
        Nats, shape (...).

    Raises:
        ValueError: Shapes or types of number differ.
    """
    if logits.shape != frames.shape or logits.dtype != frames.dtype:
        raise ValueError(
            f"frames must be {logits.dtype} of shape {tuple(logits.shape)}, as log-odds, "
            f"got {frames.dtype} of shape {tuple(frames.shape)}."
        )
    kernels = _kernels("bernoulli") if _has_kernels(logits) and not frames.requires_grad else None
    nats: Tensor = (kernels or _bernoulli).nll(logits, frames)
    return nats


def _has_kernels(tensor: Tensor) -> bool:
    """Return whether there are kernels for a tensor's device and type."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)


def _check(cell: Cell, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None) -> None:
    """Refuse shapes and types that don't fit together: kernels trust the sizes that they get."""
    batch, frames, width = inputs.shape
    w, u, bias, peepholes, alpha = weights
    hidden = w.shape[0] // cell.gates
    recurrent = hidden - (0 if alpha is None else alpha.shape[0])
    if len(state) != cell.states:
        raise ValueError(f"state of {cell.name} must have {cell.states} tensors, got {len(state)}.")
    expected = (
        *(("state", tensor, (batch, hidden), "(B, H)") for tensor in state),
        ("hidden", u, (cell.gates * recurrent, hidden), "(G*H, H)"),
        ("bias", bias, ((cell.biases or cell.gates) * hidden,), "(G*H,)"),
        ("peepholes", peepholes, (3, hidden), "(3, H)"),
        ("mask", mask, (batch, frames), "(B, T)"),
    )
    for name, tensor, shape, meaning in expected:
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} must have shape {shape} {meaning}, got {tuple(tensor.shape)}.")
    if w.shape[1] != width:
        raise ValueError(f"inputs must have D = {w.shape[1]}, as the weights, got {width}.")
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask must be torch.bool, got {mask.dtype}.")
    for each in (*state, *weights):
        if each is not None and each.dtype != inputs.dtype:
            raise ValueError(f"inputs must be {each.dtype}, as weights and state, got {inputs.dtype}.")
    for each in (*state, *weights, mask):
        if each is not None and each.device != inputs.device:
            raise ValueError(f"inputs must be on {each.device}, as all else, got {inputs.device}.")
