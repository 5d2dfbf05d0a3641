"""Which learning rates continue: successive halving, decided by the results of all rates at the same epoch.

At a rung every remaining rate has been trained for the same number of epochs; those with the lowest
validation NLL so far continue. The last ones are trained until early stopping, and the lowest validation NLL
is chosen. The rule reads the first epochs of every trial, even of one that was trained further, so it doesn't
depend on the number of processes or on interruptions.

References:
    Jamieson and Talwalkar 2016, arXiv:1502.07943 (successive halving).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from musicrnn.experiments.chung2014.settings import Candidate, Entry
from musicrnn.experiments.trials import TrialRecord


@dataclass
class Standing:
    """The decisions about an entry so far.

    Attributes:
        alive: The candidates that weren't pruned, best first once a rung is decided.
        steps: What is to be trained now: candidates and the epochs to reach, None for the end.
        pruned: The candidates that don't continue, with the epochs after which that was decided.
        passed: Rungs that are decided.
        chosen: The best candidate, once all that continue have ended.
    """

    alive: list[Candidate]
    steps: list[tuple[Candidate, int | None]] = field(default_factory=list)
    pruned: dict[Candidate, int] = field(default_factory=dict)
    passed: int = 0
    chosen: Candidate | None = None


def judge(entry: Entry, records: Mapping[Candidate, TrialRecord]) -> Standing:
    """Decide which candidates of an entry continue, and how far."""
    standing = Standing(list(entry.candidates))
    for epochs, kept in [*entry.rungs, (None, 1)]:  # the last ones train to their end
        end = math.inf if epochs is None else epochs
        for candidate in list(standing.alive):
            record = records[candidate]
            if record.state == "exploded" and record.epochs < end:
                standing.alive.remove(candidate)
                standing.pruned[candidate] = record.epochs
        standing.steps = [
            (candidate, epochs)
            for candidate in standing.alive
            if records[candidate].state != "complete" and records[candidate].epochs < end
        ]
        if standing.steps:
            break
        ranked = sorted(standing.alive, key=lambda each: (records[each].best(epochs), each.number))
        if epochs is None:
            standing.chosen = ranked[0] if ranked else None
        else:
            standing.pruned |= dict.fromkeys(ranked[kept:], epochs)
            standing.alive = ranked[:kept]
            standing.passed += 1
    return standing


def epochs_left(entry: Entry, records: Mapping[Candidate, TrialRecord]) -> int:
    """Return how many epochs an entry has left to train, at most."""
    standing = judge(entry, records)
    left = 0
    trained = [records[candidate].epochs for candidate in standing.alive if not records[candidate].is_over]
    for epochs, kept in [*entry.rungs, (entry.epochs, 0)][standing.passed :]:
        left += sum(max(0, epochs - done) for done in trained)
        trained = [epochs] * min(kept, len(trained))
    return left
