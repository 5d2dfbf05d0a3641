"""One recurrence over a whole sequence: readable references, fast kernels, and the choice between them."""

from musicrnn.ops.cell import Cell, State, Weights
from musicrnn.ops.choices import Work, fitting_threads, product_work
from musicrnn.ops.dispatch import (
    CELLS,
    bernoulli_nll,
    cell_named,
    compiled_generator,
    recurrence,
    recurrence_work,
)

__all__ = [
    "CELLS",
    "Cell",
    "State",
    "Weights",
    "Work",
    "bernoulli_nll",
    "cell_named",
    "compiled_generator",
    "fitting_threads",
    "product_work",
    "recurrence",
    "recurrence_work",
]
