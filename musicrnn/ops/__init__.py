"""One recurrence over a whole sequence: readable references, fast kernels, and the choice between them."""

from musicrnn.ops.cell import Cell, State, Streams, Weights
from musicrnn.ops.dispatch import CELLS, bernoulli_nll, cell_named, recurrence, streams
from musicrnn.ops.threads import fitting_threads

__all__ = [
    "CELLS",
    "Cell",
    "State",
    "Streams",
    "Weights",
    "bernoulli_nll",
    "cell_named",
    "fitting_threads",
    "recurrence",
    "streams",
]
