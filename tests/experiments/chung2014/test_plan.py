from __future__ import annotations

import math

import pytest

from musicrnn.experiments.chung2014 import plan


def test_the_rates_are_ten_draws_within_the_papers_bounds() -> None:
    rates = plan.learning_rates()
    assert len(rates) == 10 and rates == sorted(set(rates)) == plan.learning_rates()
    assert all(math.exp(-12) <= rate <= math.exp(-6) for rate in rates)


@pytest.mark.parametrize(("cell", "hidden"), [("tanh", 100), ("gru", 46), ("lstm", 36)])
def test_the_recipe_is_the_papers(cell: str, hidden: int) -> None:
    recipe = plan.Run("jsb", cell, 3).recipe
    assert (
        recipe.network.recurrent.cell,
        recipe.network.recurrent.hidden,
        recipe.network.recurrent.layers,
    ) == (cell, hidden, 1)
    assert recipe.network.recurrent.peepholes is (cell == "lstm") and recipe.optimizer == "rmsprop"
    assert (recipe.weight_noise, recipe.clip_norm) == (0.075, 1.0)
    assert (recipe.input_noise, recipe.network.regularisation.dropout, recipe.average) == (0.0, 0.0, "none")
    assert recipe.learning_rate == plan.learning_rates()[2]


def test_a_schedule_never_depends_on_epochs_to_come() -> None:
    assert plan.SCHEDULE in ("plateau", "constant")


def test_every_cell_of_the_table_is_planned() -> None:
    groups = plan.make_groups(list(plan.TRAININGS), ["tanh", "gru", "lstm"])
    assert len(groups) == 12 and all(len(group.runs) == 10 for group in groups)
    assert len({run.name for group in groups for run in group.runs}) == 120
    assert groups[0].rungs == tuple(zip(plan.TRAININGS["nottingham"].rungs, plan.KEPT, strict=True))
    for training in plan.TRAININGS.values():
        assert 0 < training.rungs[0] < training.rungs[1] < training.epochs


def test_quick_takes_the_best_known_rate_alone() -> None:
    (group,) = plan.make_groups(["jsb"], ["gru"], quick=True)
    (run,) = group.runs
    assert run.number == plan.BEST_RATES["jsb"]["gru"] and not group.rungs
    assert all(1 <= rate <= plan.RATES for cells in plan.BEST_RATES.values() for rate in cells.values())
    assert "alone" in plan.rule(group)


def test_runs_have_names_that_say_what_they_are() -> None:
    assert plan.Run("piano-midi", "lstm", 7).name == "piano-midi-lstm-rate07"
    assert plan.Run("piano-midi", "lstm", 7, 2).name == "piano-midi-lstm-rate07-seed2"
