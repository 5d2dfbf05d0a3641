"""Which learning rates go on: successive halving, decided by what all rates had at the same epoch.

At a rung every rate that is left has been trained for so many epochs; those with the lowest validation NLL
up to there go on. The last ones are trained until early stopping, and the lowest validation NLL is chosen.
Nothing depends on which process was quicker or how often it was interrupted: the rule reads the first epochs
of every run, even of one that has gone further.

References:
    Jamieson and Talwalkar 2016, arXiv:1502.07943 (successive halving).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from musicrnn.checkpoint import read_metrics
from musicrnn.errors import FileError, UsageError
from musicrnn.experiments.chung2014.plan import Group, Run
from musicrnn.files import read_bytes
from musicrnn.training.recipe import Recipe


@dataclass(frozen=True)
class Record:
    """How far a run is.

    Attributes:
        nlls: Validation NLL of every epoch, nats per frame.
        finished: Whether it was trained to the end.
        exploded: Whether its loss became infinite or NaN.
        seconds: Time since its training began, after each epoch.
        train_nlls: Training NLL of every epoch, with noise, while weights move.
    """

    nlls: Sequence[float] = ()
    finished: bool = False
    exploded: bool = False
    seconds: Sequence[float] = ()
    train_nlls: Sequence[float] = ()

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return len(self.nlls)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        return self.finished or self.exploded

    def best(self, epochs: int | None = None) -> float:
        """Return the lowest validation NLL of so many epochs, or of all."""
        return min((nll for nll in self.nlls[:epochs] if not math.isnan(nll)), default=math.inf)


@dataclass
class Standing:
    """What the rule says of a group.

    Attributes:
        steps: What is to be trained now: positions of runs and the epochs to reach, None for the end.
        pruned: Positions of the runs that don't go on, with the epochs after which that was decided.
        passed: Rungs that are decided.
        alive: Positions of the others, best first once a rung is decided.
        chosen: Position of the best run, once all that go on have ended.
    """

    alive: list[int]
    steps: list[tuple[int, int | None]] = field(default_factory=list)
    pruned: dict[int, int] = field(default_factory=dict)
    passed: int = 0
    chosen: int | None = None


def judge(group: Group, records: Sequence[Record]) -> Standing:
    """Say which runs of a group go on, and how far.

    Args:
        group: The group.
        records: How far each of its runs is.
    """
    standing = Standing(list(range(len(records))))
    for epochs, kept in group.rungs:
        _leave_out_exploded(standing, records, epochs)
        standing.steps = [
            (run, epochs)
            for run in standing.alive
            if not records[run].finished and records[run].epochs < epochs
        ]
        if standing.steps:
            return standing
        ranked = sorted(standing.alive, key=lambda run: (records[run].best(epochs), run))
        standing.pruned |= dict.fromkeys(ranked[kept:], epochs)
        standing.alive = ranked[:kept]
        standing.passed += 1
    _leave_out_exploded(standing, records, None)
    standing.steps = [(run, None) for run in standing.alive if not records[run].finished]
    if not standing.steps and standing.alive:
        standing.chosen = min(standing.alive, key=lambda run: (records[run].best(), run))
    return standing


def epochs_left(group: Group, records: Sequence[Record]) -> int:
    """Return how many epochs a group takes yet, at most."""
    standing = judge(group, records)
    left, entrants = 0, [records[run].epochs for run in standing.alive if not records[run].is_over]
    for epochs, kept in [*group.rungs, (group.epochs, 0)][standing.passed :]:
        left += sum(max(0, epochs - done) for done in entrants)
        entrants = [epochs] * min(kept, len(entrants))
    return left


def read_record(directory: Path, run: Run) -> Record:
    """Read how far a run is.

    Args:
        directory: Its folder, which may not exist yet.
        run: What is expected there.

    Raises:
        FileError: Its metrics are damaged.
        ModelError: Its state is damaged.
        UsageError: It was trained with other settings.
    """
    config = directory / "config.json"
    if not config.exists() or not (directory / "metrics.jsonl").exists():
        return Record()
    _check_settings(config, run)
    history = read_metrics(directory)
    finished = (directory / "README.md").exists()  # the card is written last
    return Record(
        nlls=[epoch.valid_nll for epoch in history],
        finished=finished,
        exploded=not finished and exploded(directory),
        seconds=[epoch.seconds for epoch in history],
        train_nlls=[epoch.train_nll for epoch in history],
    )


def exploded(directory: Path) -> bool:
    """Whether the loss of a run became infinite or NaN, which lowers the rate it would go on with.

    Raises:
        ModelError: Its state is damaged.
    """
    from musicrnn.training import STATE
    from musicrnn.training.run import load_state

    return (directory / STATE).exists() and load_state(directory)[1].rate_share < 1


def _check_settings(config: Path, run: Run) -> None:
    """Refuse a run of other settings."""
    try:
        found = Recipe.of(**json.loads(read_bytes(config))["training"]).to_dict()
    except (ValueError, TypeError, KeyError, UsageError) as error:
        raise FileError(f"{config}: expected the settings of a run: {error!r}") from error
    differing = [key for key, value in run.recipe.to_dict().items() if found[key] != value]
    if differing:
        key = differing[0]
        raise UsageError(
            f"{config.parent}: expected a run with {key} {run.recipe.to_dict()[key]}, found "
            f"{found[key]}; choose another folder, or remove this one"
        )


def _leave_out_exploded(standing: Standing, records: Sequence[Record], epochs: int | None) -> None:
    """Leave out runs that exploded before they had so many epochs, or before they ended."""
    for run in list(standing.alive):
        record = records[run]
        if record.exploded and (epochs is None or record.epochs < epochs):
            standing.alive.remove(run)
            standing.pruned[run] = record.epochs
