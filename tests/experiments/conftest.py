"""What the tests of this folder share."""

from __future__ import annotations

from functools import partial

import pytest

from musicrnn.experiments import trials
from musicrnn.training.loop import train


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the plots, which take most of the time of trainings as small as these."""
    monkeypatch.setattr(trials, "train", partial(train, plot=lambda *_, **__: None))
    monkeypatch.setattr("musicrnn.experiments.sweep.plot_sweep", lambda *_, **__: None)
