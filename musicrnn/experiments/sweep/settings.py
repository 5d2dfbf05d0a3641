"""The settings of a sweep: everything that decides which trials it has and how they end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musicrnn.corpus import Corpus
from musicrnn.errors import CorpusError, UsageError
from musicrnn.experiments.sweep.space import Space, suggest
from musicrnn.settings import declarations
from musicrnn.training.recipe import Recipe

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

SAMPLERS = ("random", "tpe")
PRUNERS = ("none", "median", "halving")
START = 5
"""Trials that are sampled at random and not pruned, until there are others to learn from."""


@dataclass(frozen=True)
class SweepSettings:
    """A sweep, apart from the number of its trials; ``sweep`` describes its arguments.

    Attributes:
        data: What identifies the corpus, as JSON values.

    Raises:
        UsageError: There is no such sampler or pruner.
    """

    base: Recipe
    space: Space
    sampler: str
    pruner: str
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    def sample(self, trial: Trial, number: int) -> dict[str, Any]:
        """Return a trial's settings: those that are stored, and samples of the others.

        Random samples depend on the base's seed, the trial's number and the setting's name only: not on the
        order, the process or an interruption.
        """
        sampled = {}
        for name, entry in self.space.items():
            trial.study.sampler = self._sampler(number, name)
            sampled[name] = suggest(trial, name, entry)
        return sampled

    def make_pruner(self) -> BasePruner:
        """Return the pruner, which ends no trial in the first tenth of its epochs."""
        from optuna import pruners

        tenth = max(1, self.base.epochs // 10)
        if self.pruner == "median":
            return pruners.MedianPruner(n_startup_trials=START, n_warmup_steps=tenth)
        if self.pruner == "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=tenth, reduction_factor=3)
        return pruners.NopPruner()

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        base = {name: value for name, value in self.base.to_dict().items() if name not in self.space}
        searched = {"space": self.space, "sampler": self.sampler, "pruner": self.pruner}
        return {"data": dict(self.data), "base": base, **searched}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> SweepSettings:
        """Make the settings from what ``to_dict`` returned."""
        others = {name: document[name] for name in ("space", "sampler", "pruner", "data")}
        return cls(Recipe.of(**document["base"]), **others)

    def _sampler(self, number: int, name: str) -> BaseSampler:
        from optuna import samplers

        if self.sampler == "tpe":
            name = ""  # it samples all settings together, with the first
        digest = hashlib.sha256(f"{self.base.seed}:{number}:{name}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        if self.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        # The constant liar keeps parallel trials apart.
        return samplers.TPESampler(n_startup_trials=START, constant_liar=True, seed=seed)


def make_settings(corpus: Corpus, base: Recipe, space: Space, sampler: str, pruner: str) -> SweepSettings:
    """Return the settings of a sweep, with every check that is possible without training.

    Raises:
        CorpusError: The corpus has no validation pieces.
        UsageError: The base makes no network, or the space names an unknown cell or head.
    """
    import torch

    from musicrnn.checkpoint import new_model
    from musicrnn.nn import HEADS, NetworkSettings
    from musicrnn.ops import cell_named

    if "valid" not in corpus:
        raise CorpusError(f"{corpus.directory}: expected validation pieces to compare trials on, found none")
    for cell in space.get("cell", [base.network.recurrent.cell]):
        cell_named(cell)
    for head in space.get("head", [base.network.head]):
        if head not in HEADS:
            raise UsageError(f"head must be one of {', '.join(HEADS)}, got {head!r}")
    if not set(declarations(NetworkSettings)) & set(space):
        with torch.device("meta"):
            new_model(base.network, corpus.facts())
    identity = {**corpus.identity(), "index_crc32": corpus.head["index_crc32"]}
    return SweepSettings(base, space, sampler, pruner, identity)
