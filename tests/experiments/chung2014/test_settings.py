from __future__ import annotations

import math

import pytest

from musicrnn.experiments.chung2014 import settings


def test_the_rates_are_ten_samples_within_the_papers_bounds() -> None:
    rates = settings.learning_rates()
    assert len(rates) == 10 and rates == sorted(set(rates)) == settings.learning_rates()
    assert all(math.exp(-12) <= rate <= math.exp(-6) for rate in rates)


@pytest.mark.parametrize(("cell", "hidden"), [("tanh", 100), ("gru", 46), ("lstm", 36)])
def test_the_recipe_is_the_papers(cell: str, hidden: int) -> None:
    recipe = settings.Candidate("jsb", cell, 3).recipe
    recurrent = recipe.network.recurrent
    assert (recurrent.cell, recurrent.hidden, recurrent.layers) == (cell, hidden, 1)
    assert recurrent.peepholes is (cell == "lstm") and recipe.optimizer == "rmsprop"
    assert (recipe.weight_noise, recipe.clip_norm) == (0.075, 1.0)
    assert (recipe.input_noise, recipe.network.regularisation.dropout, recipe.average) == (0.0, 0.0, "none")
    assert recipe.learning_rate == settings.learning_rates()[2]


def test_a_schedule_never_depends_on_epochs_to_come() -> None:
    assert settings.SCHEDULE in ("plateau", "constant")


def test_every_cell_of_the_table_is_planned() -> None:
    entries = settings.make_entries(list(settings.TRAININGS), ["tanh", "gru", "lstm"])
    assert len(entries) == 12 and all(len(entry.candidates) == 10 for entry in entries)
    assert len({candidate.name for entry in entries for candidate in entry.candidates}) == 120
    assert entries[0].rungs == tuple(zip(settings.TRAININGS["nottingham"].rungs, settings.KEPT, strict=True))
    for training in settings.TRAININGS.values():
        assert 0 < training.rungs[0] < training.rungs[1] < training.epochs


def test_quick_takes_the_best_known_rate_alone() -> None:
    (entry,) = settings.make_entries(["jsb"], ["gru"], quick=True)
    (candidate,) = entry.candidates
    assert candidate.number == settings.BEST_RATES["jsb"]["gru"] and not entry.rungs
    assert all(
        1 <= rate <= settings.RATES for cells in settings.BEST_RATES.values() for rate in cells.values()
    )
    assert "only" in settings.rule(entry)


def test_candidates_have_names_that_say_what_they_are() -> None:
    assert settings.Candidate("piano-midi", "lstm", 7).name == "piano-midi-lstm-rate07"
    assert settings.Candidate("piano-midi", "lstm", 7, 2).name == "piano-midi-lstm-rate07-seed2"
