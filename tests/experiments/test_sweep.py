from __future__ import annotations

from pathlib import Path

import pytest

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus
from musicrnn.experiments.sweep import sweep
from musicrnn.training import Recipe
from musicrnn.training.loop import Silent

pytest.importorskip("optuna", reason="needs the extra sweep")

BASE = Recipe(hidden=4, epochs=1, batch_size=4)
SPACE = {"learning_rate": (1e-3, 1e-1)}


def test_a_sweep_goes_on_where_it_stopped_and_draws_what_it_would_have_drawn(
    corpus: Corpus, tmp_path: Path
) -> None:
    def run(directory: Path, trials: int) -> dict[int, tuple[float, float]]:
        found = sweep(corpus, BASE, trials, directory, SPACE, lambda *_: Silent())
        assert [trial.valid_nll for trial in found] == sorted(trial.valid_nll for trial in found)
        return {trial.number: (trial.settings["learning_rate"], trial.valid_nll) for trial in found}

    first = run(tmp_path / "a", 2)
    resumed = run(tmp_path / "a", 3)
    assert {number: resumed[number] for number in first} == first
    assert resumed == run(tmp_path / "b", 3)
    assert all(1e-3 <= rate <= 1e-1 for rate, _ in resumed.values()) and len(set(resumed.values())) == 3
    assert load_model(tmp_path / "a" / "trial-000").config.hidden == 4


def test_trials_that_explode_are_left_out(corpus: Corpus, tmp_path: Path) -> None:
    from musicrnn.errors import MusicRNNError

    base = Recipe(cell="tanh", hidden=4, epochs=9, batch_size=1, clip_norm=0)
    with pytest.raises(MusicRNNError, match="expected 1 finished trials, found 0; the others failed"):
        sweep(corpus, base, 1, tmp_path, {"learning_rate": (1e36, 1e37)}, lambda *_: Silent())
