"""The picture of a sweep has a panel for each setting, in which trials far off don't flatten the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from musicrnn.plots.study import plot_sweep

SPACE = {
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "cell": ["gru", None],
    "hidden": {"low": 2, "high": 8, "log": False},
}


def trial(number: int, state: str, nll: float | None, rate: float = 0.01) -> dict[str, Any]:
    settings = {"learning_rate": rate, "cell": "gru", "hidden": 2 + number}
    return {"number": number, "state": state, "valid_nll": nll, "settings": settings}


TRIALS = [
    trial(3, "complete", 7.25),
    trial(0, "failed", None),
    trial(1, "complete", 8.5, 0.0123456),
    trial(4, "complete", 900.0),
    trial(2, "pruned", 7.5),
]


@pytest.mark.parametrize("count", [1, 5])
def test_the_picture_has_a_panel_for_each_setting(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig

    def keep(self: Figure, *arguments: Any, **others: Any) -> Any:
        figures.append(self)
        return save(self, *arguments, **others)

    monkeypatch.setattr(Figure, "savefig", keep)
    plot_sweep(TRIALS[: 1 + count], SPACE, tmp_path / "sweep.png", "title")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    axes = [each for each in figures[0].axes if each.get_visible()]
    titles = [each.get_title(loc="left") for each in axes]
    assert titles == ["learning_rate", "cell", "hidden", "trial, and the best so far"]
    assert [each.get_xscale() for each in axes] == ["log", "linear", "linear", "linear"]
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["gru", "-"]
    if count == 5:
        assert axes[0].get_ylim()[1] < 20  # a trial that went astray doesn't flatten the others
