from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from musicrnn.checkpoint import Epoch, write_metrics
from musicrnn.errors import FileError, UsageError
from musicrnn.experiments.chung2014.plan import Group, Run
from musicrnn.experiments.chung2014.pruning import Record, epochs_left, judge, read_record

RUNS = tuple(Run("jsb", "gru", number) for number in range(1, 5))
GROUP = Group("jsb", "gru", RUNS, ((2, 2), (4, 1)))


def record(*nlls: float, finished: bool = False, exploded: bool = False) -> Record:
    return Record(nlls, finished, exploded)


def test_all_rates_train_to_the_first_rung() -> None:
    standing = judge(GROUP, [record(9), record(), record(9, 8), record(9, 8, 7)])
    assert standing.steps == [(0, 2), (1, 2)] and standing.chosen is None and not standing.pruned


def test_the_best_go_on_whatever_others_did_later() -> None:
    records = [record(5, 9), record(8, 7), record(9, 6), record(8, 7, 1, 1, 1)]
    standing = judge(GROUP, records)
    assert standing.steps == [(0, 4), (2, 4)] and standing.pruned == {1: 2, 3: 2}
    assert standing.alive == [0, 2] and standing.passed == 1


def test_equal_rates_are_told_apart_by_their_number() -> None:
    assert judge(GROUP, [record(7, 7)] * 4).alive == [0, 1]


def test_the_last_ones_train_to_the_end_and_the_best_is_chosen() -> None:
    group = Group("jsb", "gru", RUNS, ((2, 2),))
    records = [record(9, 9), record(5, 9), record(4, 9), record(9, 9)]
    assert judge(group, records).steps == [(2, None), (1, None)]
    records[1:3] = record(5, 9, 3, 9, finished=True), record(4, 9, 9, 9, finished=True)
    standing = judge(group, records)
    assert standing.chosen == 1 and not standing.steps and standing.pruned == {0: 2, 3: 2}


def test_a_run_that_ended_early_has_passed_its_rungs() -> None:
    records = [record(5, 6, 7, finished=True), record(8, 8, 8, 8), record(9, 9), record(9, 9)]
    standing = judge(GROUP, records)
    assert standing.chosen == 0 and standing.pruned == {2: 2, 3: 2, 1: 4}


def test_rates_that_exploded_are_out() -> None:
    records = [record(1, exploded=True), record(8, math.inf), record(9, 9), record(math.inf, math.nan)]
    standing = judge(GROUP, records)
    assert standing.pruned == {0: 1, 3: 2} and standing.alive == [1, 2]
    every = judge(GROUP, [record(exploded=True)] * 4)
    assert every.alive == [] and every.chosen is None and not every.steps


def test_the_epochs_that_are_left_are_counted() -> None:
    whole = 4 * 2 + 2 * 2 + 1 * (GROUP.epochs - 4)
    assert epochs_left(GROUP, [record()] * 4) == whole
    assert epochs_left(GROUP, [record(9), *[record()] * 3]) == whole - 1
    assert epochs_left(GROUP, [record(9, 9)] * 4) == whole - 8
    done = [record(5, 6, 7, finished=True), record(8, 8, 8, 8), record(9, 9), record(9, 9)]
    assert epochs_left(GROUP, done) == 0


def test_runs_are_read_from_disk(tmp_path: Path) -> None:
    run, folder = RUNS[0], tmp_path / "run"
    assert read_record(folder, run) == Record()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"training": run.recipe.to_dict()}))
    write_metrics(folder, [Epoch(1, 9.0, nll, 0.01, 1.0, 100.0, 1.5) for nll in (8.0, math.inf)])
    assert read_record(folder, run) == Record([8.0, math.inf], False, False, [1.5, 1.5], [9.0, 9.0])
    (folder / "README.md").touch()
    assert read_record(folder, run).finished
    with pytest.raises(UsageError, match=r"expected a run with learning_rate 0.00014\d*, found 3.0\d*e-05"):
        read_record(folder, RUNS[1])
    (folder / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(FileError, match=r"metrics\.jsonl: expected a line of JSON per epoch"):
        read_record(folder, run)
