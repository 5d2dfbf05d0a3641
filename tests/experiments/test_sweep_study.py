"""The study of a sweep: whose it is, and what a killed process leaves of its journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicrnn.corpus import Corpus
from musicrnn.errors import ModelError, MusicRNNError, UsageError
from musicrnn.experiments.sweep.plan import Plan, make_plan
from musicrnn.experiments.sweep.space import Choices, make_space
from musicrnn.experiments.sweep.study import JOURNAL, open_study, read_plan
from musicrnn.training import Recipe

pytest.importorskip("optuna", reason="needs the extra sweep")

TABLE = {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, "cell": ["gru", "lstm"]}


def plan(corpus: Corpus, sampler: str = "random", **settings: object) -> Plan:
    base = Recipe.of(**{"hidden": 4, **settings})  # type: ignore[arg-type]
    return make_plan(corpus, base, make_space(TABLE, base, "here"), sampler, "none")


def test_a_folder_keeps_its_plan(corpus: Corpus, tmp_path: Path) -> None:
    made = plan(corpus)
    with open_study(tmp_path / "s", made, None) as study:
        assert study.trials() == []
    assert read_plan(tmp_path / "s").to_dict() == json.loads(json.dumps(made.to_dict()))


def test_another_sweep_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for storage in (None, url):
        folder = tmp_path / f"s-{storage is None}"
        with open_study(folder, plan(corpus), storage):
            pass
        with (
            pytest.raises(UsageError, match=r"found another sweep: expected base: seed 1, found 0"),
            open_study(folder, plan(corpus, seed=1), storage),
        ):
            pass
        with (
            pytest.raises(UsageError, match="found another sweep: expected sampler tpe, found random"),
            open_study(folder, plan(corpus, "tpe"), storage),
        ):
            pass
    with (
        pytest.raises(
            UsageError, match="study s-False: found another sweep: expected base: hidden 5, found 4"
        ),
        open_study(tmp_path / "elsewhere" / "s-False", plan(corpus, hidden=5), url),
    ):
        pass
    assert not (tmp_path / "elsewhere" / "s-False" / "sweep.json").exists()
    with (
        pytest.raises(UsageError, match="expected storage journal, found sqlite"),
        open_study(tmp_path / "s-False", plan(corpus), None),
    ):
        pass


def test_a_searched_setting_of_the_base_does_not_matter(corpus: Corpus, tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        with open_study(tmp_path / "s", plan(corpus, learning_rate=rate), None):
            pass


def test_a_folder_with_something_else_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with (
        pytest.raises(ModelError, match=r"expected a sweep or a new folder, found config\.json"),
        open_study(tmp_path, plan(corpus), None),
    ):
        pass


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/db", "sqlite:////nowhere/at/all.db"])
def test_a_storage_that_does_not_answer_is_refused(
    corpus: Corpus, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicrnn.experiments.sweep.study.RETRY_SECONDS", 0.0)
    with (
        pytest.raises(MusicRNNError, match="--storage: expected a") as refusal,
        open_study(tmp_path / "s", plan(corpus), url),
    ):
        pass
    assert "\n" not in str(refusal.value)
    with open_study(tmp_path / "s", plan(corpus), None):  # and nothing is left of it
        pass


def test_half_a_line_in_the_journal_is_taken_off(corpus: Corpus, tmp_path: Path) -> None:
    with open_study(tmp_path, plan(corpus), None) as study:
        study.create()
        whole = (tmp_path / JOURNAL).read_bytes()
        with (tmp_path / JOURNAL).open("ab") as journal:
            journal.write(whole.splitlines()[-1][:40])
        assert len(study.stored()) == 1
        study.create()
    assert (tmp_path / JOURNAL).read_bytes().startswith(whole + b'{"op_code"')
    with open_study(tmp_path, plan(corpus), None) as study:
        assert [trial.number for trial in study.trials()] == [0, 1]


def test_random_draws_depend_on_number_and_seed_alone(corpus: Corpus, tmp_path: Path) -> None:
    made, drawn = plan(corpus), {}
    with open_study(tmp_path, made, None) as study:
        trials = [study.create() for _ in range(4)]
        for trial in [trials[2], trials[0], trials[3], trials[1]]:
            drawn[trial.number] = made.draw(trial, trial.number)
        half = study.create()
        rate = made.space["learning_rate"].suggest
        made_again = plan(corpus)
        half.study.sampler = made_again._sampler(4, "learning_rate")
        first = rate(half, "learning_rate")
        again = made_again.draw(study.open(half._trial_id), 4)
        assert again["learning_rate"] == first
    with open_study(tmp_path / "other", made, None) as study:
        for number in range(5):
            expected = drawn.get(number, again)
            assert made.draw(study.create(), number) == expected
    assert len({settings["learning_rate"] for settings in drawn.values()}) == 4


def test_what_cannot_work_is_refused_before_it_begins(corpus: Corpus) -> None:
    with pytest.raises(UsageError, match=r"cell must be one of tanh, .*, got 'gruu'"):
        make_plan(corpus, Recipe(), {"cell": Choices(("gru", "gruu"))}, "random", "none")
    with pytest.raises(UsageError, match=r"head must be one of .*, got 'ears'"):
        make_plan(corpus, Recipe.of(head="ears"), {"seed": Choices((1, 2))}, "random", "none")
    with pytest.raises(UsageError, match="peepholes need a cell with a memory"):
        make_plan(corpus, Recipe.of(peepholes=True), {"seed": Choices((1, 2))}, "random", "none")
    with pytest.raises(UsageError, match="sampler must be one of random, tpe, got 'grid'"):
        make_plan(corpus, Recipe(), {"seed": Choices((1, 2))}, "grid", "none")
