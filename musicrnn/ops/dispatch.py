"""The one place that knows which cells there are and chooses how each is computed."""

from __future__ import annotations

from torch import Tensor

from musicrnn.errors import UsageError
from musicrnn.ops.cell import Cell, State, Weights
from musicrnn.ops.gru import naive as _gru
from musicrnn.ops.lstm import fused as _lstm_fused
from musicrnn.ops.lstm import naive as _lstm
from musicrnn.ops.scan import scan
from musicrnn.ops.tanh import fused as _tanh_fused
from musicrnn.ops.tanh import naive as _tanh

CELLS = {
    cell.name: cell
    for cell in (
        Cell("tanh", gates=1, states=1, naive=_tanh.bind, fused=_tanh_fused.sequence),
        Cell("lstm", gates=4, states=2, naive=_lstm.bind, fused=_lstm_fused.sequence, peepholes=True),
        Cell("gru", gates=3, states=1, naive=_gru.bind),
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


def recurrence(
    cell: Cell, inputs: Tensor, state: State, weights: Weights, mask: Tensor | None = None
) -> tuple[Tensor, State]:
    """Run one recurrent layer over a batch of sequences.

    The fused kernel is taken where the cell has one for exactly this function: it knows no peepholes, and
    no mask.

    Args:
        cell: The recurrent unit.
        inputs: Shape (B, T, D).
        state: State before the first frame, tensors of shape (B, H).
        weights: The layer's parameters.
        mask: True on real frames, shape (B, T); on others the state stays as it is. None: all are real.

    Returns:
        Outputs, shape (B, T, H), and the state after the last real frame of each row.
    """
    if cell.fused is not None and mask is None and weights.peepholes is None:
        return cell.fused(inputs, state, weights)
    return scan(cell, inputs, state, weights, mask)
