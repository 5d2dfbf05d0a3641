from __future__ import annotations

import math

from musicrnn.experiments.chung2014 import pruning
from musicrnn.experiments.chung2014.pruning import Standing
from musicrnn.experiments.chung2014.settings import Candidate, Entry
from musicrnn.experiments.trials import TrialRecord

CANDIDATES = A, B, C, D = tuple(Candidate("jsb", "gru", number) for number in range(1, 5))
ENTRY = Entry("jsb", "gru", CANDIDATES, ((2, 2), (4, 1)))


def record(*nlls: float, state: str = "unfinished") -> TrialRecord:
    return TrialRecord(state, nlls)


def judge(records: list[TrialRecord], entry: Entry = ENTRY) -> Standing:
    return pruning.judge(entry, dict(zip(CANDIDATES, records, strict=True)))


def epochs_left(records: list[TrialRecord]) -> int:
    return pruning.epochs_left(ENTRY, dict(zip(CANDIDATES, records, strict=True)))


def test_all_rates_train_to_the_first_rung() -> None:
    standing = judge([record(9), record(), record(9, 8), record(9, 8, 7)])
    assert standing.steps == [(A, 2), (B, 2)] and standing.chosen is None and not standing.pruned


def test_the_best_continue_regardless_of_later_results() -> None:
    records = [record(5, 9), record(8, 7), record(9, 6), record(8, 7, 1, 1, 1)]
    standing = judge(records)
    assert standing.steps == [(A, 4), (C, 4)] and standing.pruned == {B: 2, D: 2}
    assert standing.alive == [A, C] and standing.passed == 1


def test_ties_are_broken_by_number() -> None:
    assert judge([record(7, 7)] * 4).alive == [A, B]


def test_the_last_ones_train_to_the_end_and_the_best_is_chosen() -> None:
    entry = Entry("jsb", "gru", CANDIDATES, ((2, 2),))
    records = [record(9, 9), record(5, 9), record(4, 9), record(9, 9)]
    assert judge(records, entry).steps == [(C, None), (B, None)]
    records[1:3] = record(5, 9, 3, 9, state="complete"), record(4, 9, 9, 9, state="complete")
    standing = judge(records, entry)
    assert standing.chosen == B and not standing.steps and standing.pruned == {A: 2, D: 2}


def test_a_run_that_ended_early_has_passed_its_rungs() -> None:
    records = [record(5, 6, 7, state="complete"), record(8, 8, 8, 8), record(9, 9), record(9, 9)]
    standing = judge(records)
    assert standing.chosen == A and standing.pruned == {C: 2, D: 2, B: 4}


def test_rates_that_exploded_are_out() -> None:
    records = [record(1, state="exploded"), record(8, math.inf), record(9, 9), record(math.inf, math.nan)]
    standing = judge(records)
    assert standing.pruned == {A: 1, D: 2} and standing.alive == [B, C]
    every = judge([record(state="exploded")] * 4)
    assert every.alive == [] and every.chosen is None and not every.steps


def test_the_epochs_that_are_left_are_counted() -> None:
    whole = 4 * 2 + 2 * 2 + 1 * (ENTRY.epochs - 4)
    assert epochs_left([record()] * 4) == whole
    assert epochs_left([record(9), *[record()] * 3]) == whole - 1
    assert epochs_left([record(9, 9)] * 4) == whole - 8
    done = [record(5, 6, 7, state="complete"), record(8, 8, 8, 8), record(9, 9), record(9, 9)]
    assert epochs_left(done) == 0
