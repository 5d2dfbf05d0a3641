"""The settings of every training: the paper's, and all that the paper leaves open.

The paper says RMSProp, weight noise of standard deviation 0.075, gradients rescaled to a norm of at most 1,
the best of ten learning rates sampled as exp(U(-12, -6)), and early stopping on validation. Batch size,
decay, momentum, schedule, patience and the number of epochs are choices made here: ``TRAININGS`` and the
constants around it.

References:
    Chung et al. 2014, arXiv:1412.3555, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from musicrnn.experiments.chung2014.paper import UNITS
from musicrnn.training.recipe import Recipe

RATES, LOWEST, HIGHEST, RATE_SEED = 10, -12.0, -6.0, 2014
"""Learning rates: how many, the bounds of their logarithms, and the seed of their sampling."""

DECAY = 0.95
"""Share of the mean square that an update keeps, as in the authors' later code."""
MOMENTUM = 0.9
"""As in the authors' later code."""
SCHEDULE = "plateau"
"""Halves the rate after a third of the patience without improvement. It must not depend on the number of
epochs, so that a longer training begins in the same way."""


class Training(NamedTuple):
    """The choices made here for a data set; ``rungs`` are the epochs after which the rates are compared."""

    batch_size: int
    epochs: int
    patience: int
    rungs: tuple[int, ...]


TRAININGS = {
    "nottingham": Training(batch_size=4, epochs=80, patience=15, rungs=(5, 15)),
    "jsb": Training(batch_size=4, epochs=200, patience=30, rungs=(20, 60)),
    "musedata": Training(batch_size=4, epochs=60, patience=15, rungs=(5, 15)),
    "piano-midi": Training(batch_size=4, epochs=120, patience=30, rungs=(10, 30)),
}
"""Small sets have more epochs, which are shorter."""

KEPT = (5, 2)
"""How many of the rates continue after each rung: half, then two."""

BEST_RATES = {
    "nottingham": {"tanh": 4, "gru": 9, "lstm": 7},
    "jsb": {"tanh": 3, "gru": 4, "lstm": 9},
    "musedata": {"tanh": 5, "gru": 6, "lstm": 7},
    "piano-midi": {"tanh": 5, "gru": 7, "lstm": 7},
}
"""For ``--quick``: the number, from 1, of the best known rate."""


@dataclass(frozen=True)
class Candidate:
    """A cell trained on a data set, with the learning rate of a number, from 1; the best one is chosen.

    The seed is that of the weights, the order of pieces and the noise.
    """

    data: str
    cell: str
    number: int
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        seed = f"-seed{self.seed}" if self.seed else ""
        return f"{self.data}-{self.cell}-rate{self.number:02d}{seed}"

    @property
    def rate(self) -> float:
        """The learning rate."""
        return learning_rates()[self.number - 1]

    @cached_property
    def recipe(self) -> Recipe:
        """How it is trained."""
        network = {"cell": self.cell, "hidden": UNITS[self.cell], "peepholes": self.cell == "lstm"}
        optimizer = {"optimizer": "rmsprop", "decay": DECAY, "momentum": MOMENTUM, "schedule": SCHEDULE}
        noise = {"weight_noise": 0.075, "input_noise": 0.0, "dropout": 0.0}
        others = {"clip_norm": 1.0, "average": "none", "learning_rate": self.rate, "seed": self.seed}
        chosen = {name: n for name, n in TRAININGS[self.data]._asdict().items() if name != "rungs"}
        return Recipe.of(**network, **optimizer, **noise, **others, **chosen)


@dataclass(frozen=True)
class Entry:
    """An entry of table 2: a cell on a data set, with a candidate for each learning rate that is tried.

    The rungs are the epochs after which rates are compared, each with how many rates continue.
    """

    data: str
    cell: str
    candidates: tuple[Candidate, ...]
    rungs: tuple[tuple[int, int], ...]

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return TRAININGS[self.data].epochs


def learning_rates() -> list[float]:
    """Return the rates, sampled from exp(U(-12, -6)), from low to high."""
    import numpy as np

    logarithms = np.random.default_rng(RATE_SEED).uniform(LOWEST, HIGHEST, RATES)
    return [float(rate) for rate in np.exp(np.sort(logarithms))]


def make_entries(data: Sequence[str], cells: Sequence[str], quick: bool = False) -> list[Entry]:
    """Return the entries to train, with all rates or, if ``quick``, only with the best known one."""
    entries = []
    for name, cell in product(data, cells):
        numbers = [BEST_RATES[name][cell]] if quick else range(1, RATES + 1)
        candidates = tuple(Candidate(name, cell, number) for number in numbers)
        rungs = () if quick else tuple(zip(TRAININGS[name].rungs, KEPT, strict=True))
        entries.append(Entry(name, cell, candidates, rungs))
    return entries


def rule(entry: Entry) -> str:
    """Return a sentence that says how the rates of an entry are pruned."""
    if not entry.rungs:
        return f"only the best known rate, at most {entry.epochs} epochs"
    rungs = ", ".join(f"the best {kept} continue after {epochs} epochs" for epochs, kept in entry.rungs)
    return f"{len(entry.candidates)} rates; {rungs}; at most {entry.epochs} epochs"
