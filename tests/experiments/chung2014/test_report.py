from __future__ import annotations

from pathlib import Path

import pytest

from musicrnn.checkpoint import Epoch, write_metrics
from musicrnn.errors import FileError
from musicrnn.experiments.chung2014.report import plot_data
from musicrnn.experiments.chung2014.rows import Row

FIGURES = dict.fromkeys(("paper_train", "paper_test", "train", "valid", "test", "learning_rate"), 1.0)
CONVENTIONS = dict.fromkeys(("test_skip_first", "test_per_piece", "test_skip_first_per_piece"), 1.0)
DEVIATIONS = dict.fromkeys(("train_deviation", "valid_deviation", "test_deviation"))
COUNTS = dict.fromkeys(("hidden", "parameters", "rate", "rates", "epochs", "best_epoch", "seeds"), 1)


def row(cell: str, model: Path, nlls: list[float]) -> Row:
    model.mkdir()
    history = [
        Epoch(number, nll, nll + 0.5, 0.01, 1.0, 100.0, 0.5 * (number - 1))
        for number, nll in enumerate(nlls, 1)
    ]
    write_metrics(model, history)
    values = {**FIGURES, **CONVENTIONS, **DEVIATIONS, **COUNTS}
    return Row(data="jsb", cell=cell, model=str(model), seconds=1.0, **values)  # type: ignore[arg-type]


def test_every_unit_has_its_curves_against_epochs_and_seconds(tmp_path: Path) -> None:
    rows = [row("gru", tmp_path / "a", [9, 8, float("inf"), 7]), row("tanh", tmp_path / "b", [9.5])]
    for name in ("one.svg", "two.svg"):
        plot_data("JSB Chorales", rows, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "<svg" in (tmp_path / "one.svg").read_text()


def test_runs_without_a_finite_epoch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="expected an epoch with a finite NLL, found none"):
        plot_data("JSB Chorales", [row("gru", tmp_path / "a", [float("nan")])], tmp_path / "x.png")
