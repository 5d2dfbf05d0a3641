"""The trials of a sweep: which sweep they belong to, and what a killed process leaves of the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musicrnn.corpus import Corpus
from musicrnn.errors import ModelError, MusicRNNError, UsageError
from musicrnn.experiments.sweep.settings import SweepSettings, make_settings
from musicrnn.experiments.sweep.space import make_space, suggest
from musicrnn.experiments.sweep.store import JOURNAL, Trial, open_store, ranked
from musicrnn.training import Recipe

pytest.importorskip("optuna", reason="needs the extra sweep")

TABLE = {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, "cell": ["gru", "lstm"]}


def settings_of(corpus: Corpus, sampler: str = "random", **settings: object) -> SweepSettings:
    base = Recipe.of(**{"hidden": 4, **settings})  # type: ignore[arg-type]
    return make_settings(corpus, base, make_space(TABLE, base, "here"), sampler, "none")


def test_a_folder_keeps_its_settings(corpus: Corpus, tmp_path: Path) -> None:
    made = settings_of(corpus)
    with open_store(tmp_path / "s", made, None) as store:
        assert store.trials() == []
    kept = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert SweepSettings.from_dict(kept).to_dict() == json.loads(json.dumps(made.to_dict()))


def test_another_sweep_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for storage in (None, url):
        folder = tmp_path / f"s-{storage is None}"
        with open_store(folder, settings_of(corpus), storage):
            pass
        with (
            pytest.raises(UsageError, match=r"found another sweep: expected base: seed 1, found 0"),
            open_store(folder, settings_of(corpus, seed=1), storage),
        ):
            pass
        with (
            pytest.raises(UsageError, match="found another sweep: expected sampler tpe, found random"),
            open_store(folder, settings_of(corpus, "tpe"), storage),
        ):
            pass
    with (
        pytest.raises(
            UsageError, match="study s-False: found another sweep: expected base: hidden 5, found 4"
        ),
        open_store(tmp_path / "elsewhere" / "s-False", settings_of(corpus, hidden=5), url),
    ):
        pass
    assert not (tmp_path / "elsewhere" / "s-False" / "sweep.json").exists()
    with (
        pytest.raises(UsageError, match="expected storage journal, found sqlite"),
        open_store(tmp_path / "s-False", settings_of(corpus), None),
    ):
        pass


def test_a_searched_setting_of_the_base_does_not_matter(corpus: Corpus, tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        with open_store(tmp_path / "s", settings_of(corpus, learning_rate=rate), None):
            pass


def test_a_folder_with_something_else_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with (
        pytest.raises(ModelError, match=r"expected a sweep or a new folder, found config\.json"),
        open_store(tmp_path, settings_of(corpus), None),
    ):
        pass


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/db", "sqlite:////nowhere/at/all.db"])
def test_a_storage_that_does_not_answer_is_refused(
    corpus: Corpus, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicrnn.experiments.sweep.store.RETRY_SECONDS", 0.0)
    with (
        pytest.raises(MusicRNNError, match="--storage: expected a") as refusal,
        open_store(tmp_path / "s", settings_of(corpus), url),
    ):
        pass
    assert "\n" not in str(refusal.value)
    with open_store(tmp_path / "s", settings_of(corpus), None):  # and nothing is left of it
        pass


def test_half_a_line_in_the_journal_is_taken_off(corpus: Corpus, tmp_path: Path) -> None:
    with open_store(tmp_path, settings_of(corpus), None) as store:
        store.create()
        whole = (tmp_path / JOURNAL).read_bytes()
        with (tmp_path / JOURNAL).open("ab") as journal:
            journal.write(whole.splitlines()[-1][:40])
        assert len(store.stored()) == 1
        store.create()
    assert (tmp_path / JOURNAL).read_bytes().startswith(whole + b'{"op_code"')
    with open_store(tmp_path, settings_of(corpus), None) as store:
        assert [trial.number for trial in store.trials()] == [0, 1]


def test_random_samples_depend_on_number_and_seed_alone(corpus: Corpus, tmp_path: Path) -> None:
    made, sampled = settings_of(corpus), {}
    with open_store(tmp_path, made, None) as store:
        trials = [store.create() for _ in range(4)]
        for trial in [trials[2], trials[0], trials[3], trials[1]]:
            sampled[trial.number] = made.sample(trial, trial.number)
        half = store.create()
        made_again = settings_of(corpus)
        half.study.sampler = made_again._sampler(4, "learning_rate")
        first = suggest(half, "learning_rate", made.space["learning_rate"])
        again = made_again.sample(store.open(half._trial_id), 4)
        assert again["learning_rate"] == first
    with open_store(tmp_path / "other", made, None) as store:
        for number in range(5):
            expected = sampled.get(number, again)
            assert made.sample(store.create(), number) == expected
    assert len({settings["learning_rate"] for settings in sampled.values()}) == 4


def test_what_cannot_work_is_refused_before_it_begins(corpus: Corpus) -> None:
    with pytest.raises(UsageError, match=r"cell must be one of tanh, .*, got 'gruu'"):
        make_settings(corpus, Recipe(), {"cell": ["gru", "gruu"]}, "random", "none")
    with pytest.raises(UsageError, match=r"head must be one of .*, got 'ears'"):
        make_settings(corpus, Recipe.of(head="ears"), {"seed": [1, 2]}, "random", "none")
    with pytest.raises(UsageError, match="peepholes need a cell with a memory"):
        make_settings(corpus, Recipe.of(peepholes=True), {"seed": [1, 2]}, "random", "none")
    with pytest.raises(UsageError, match="sampler must be one of random, tpe, got 'grid'"):
        make_settings(corpus, Recipe(), {"seed": [1, 2]}, "grid", "none")


def test_the_best_comes_first_and_what_failed_last() -> None:
    states = [("failed", None), ("complete", 8.5), ("pruned", 7.5), ("complete", 7.25), ("complete", 900.0)]
    trials = [Trial(number, state, {}, Path("s"), nll, 3) for number, (state, nll) in enumerate(states)]
    assert [trial.number for trial in ranked(trials)] == [3, 1, 4, 2, 0]
