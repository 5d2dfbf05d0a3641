"""Curves are where their values are, and marked where they should be."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from musicrnn.errors import RollError
from musicrnn.plots.curves import Curves, plot_curves, plot_range_test, plot_runs, plot_time_curves
from tests.plots.pictures import SVG, coloured_runs, texts_in


def test_names_of_curves_are_plain_text(tmp_path: Path) -> None:
    path, name = tmp_path / "curves.svg", "$^$"
    plot_curves({name: [2.0, 1.0]}, path, marks={name: 1}, title=name)
    assert texts_in(path).count(name) == 3


def test_curves_with_the_best_epoch_marked(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    plot_curves({"train": [9.0, 7.0, 6.0], "valid": [9.5, 8.0, 8.2]}, path, marks={"best: 2": 1}, title="GRU")
    texts = texts_in(path)
    assert {"train", "valid", "best: 2", "GRU", "epoch", "NLL per frame (nats)"} <= set(texts)
    assert [text for text in texts if text in "123"] == ["1", "2", "3"]


def test_a_curve_continues_across_values_that_are_not_finite(tmp_path: Path) -> None:
    plot_curves({"a": [3.0, float("nan"), float("inf"), 1.0]}, tmp_path / "curves.png")
    below_the_legend = imread(tmp_path / "curves.png")[50:]
    assert [count for count, _ in groupby(coloured_runs(row) for row in below_the_legend)] == [0, 1, 0]


def test_the_mark_is_at_its_value(tmp_path: Path) -> None:
    def marked_column(index: int) -> int:
        plot_curves({"a": [1.0] * 9}, tmp_path / "curves.png", marks={"": index})
        height = np.ptp(imread(tmp_path / "curves.png")[..., :3], axis=2) > 0.3
        return int(height[50:].sum(axis=0).argmax())  # the dot is taller than the line

    first, middle, last = marked_column(0), marked_column(4), marked_column(8)
    assert middle == pytest.approx((first + last) / 2, abs=2)
    assert last - first > 800


def test_a_curve_without_a_point_is_left_out(tmp_path: Path) -> None:
    plot_curves({"train": [1.0], "validation": [float("nan")]}, tmp_path / "curves.svg")
    assert "validation" not in texts_in(tmp_path / "curves.svg")


@pytest.mark.parametrize("curves", [{}, {"a": []}, {"a": [float("nan")]}])
def test_refuses_curves_without_a_point(tmp_path: Path, curves: dict[str, list[float]]) -> None:
    with pytest.raises(RollError, match="at least one curve with a finite value"):
        plot_curves(curves, tmp_path / "curves.png")


def test_one_epoch_is_a_point(tmp_path: Path) -> None:
    plot_curves({"a": [3.0]}, tmp_path / "curves.png", marks={})
    assert any(coloured_runs(row) for row in imread(tmp_path / "curves.png")[150:])


NAN = float("nan")


def marks_in(path: Path) -> list[tuple[str, float, float]]:
    """Colour and place, right and down, of the large marks on the axes of an SVG picture."""
    axes = next(g for g in ElementTree.parse(path).iter(f"{SVG}g") if g.get("id") == "axes_1")
    lines = [group for group in axes if group.get("id", "").startswith("line2d")]
    marks = [use for line in lines for use in line.iter(f"{SVG}use")]
    return [
        (
            re.findall("fill: (#\\w+)", mark.get("style", ""))[0],
            float(mark.get("x", 0)),
            float(mark.get("y", 0)),
        )
        for mark in marks
    ]


def test_runs_have_a_colour_a_name_and_a_mark_at_the_best_epoch(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    runs = [Curves("_a", [3, 2, 1], [3, 1, 2]), Curves("$b$", [3, 2, 1, 0], [3, 3, 2.5, 1.5])]
    plot_runs(runs, path, title="two")
    texts = texts_in(path)
    legend = ["validation", "train", "_a: 1.000, epoch 2", "$b$: 1.500, epoch 4"]
    assert [text for text in texts if text in legend] == legend
    assert {"two", "epoch", "NLL per frame (nats)"} <= set(texts)
    (first, x, y), (second, later, higher) = marks_in(path)
    assert first != second and x < later and y > higher


def test_ends_of_runs_are_distinguishable_though_they_start_far_above(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    steep = [100.0, 50.0] + [6.0 - epoch / 20 for epoch in range(20)]
    plot_runs([Curves("a", steep, steep), Curves("b", steep, [nll + 0.5 for nll in steep])], path)
    numbers = [float(text) for text in texts_in(path) if re.fullmatch(r"\d\.\d", text)]
    assert min(numbers) >= 4.9 and max(numbers) <= 6.6
    plot_runs([Curves("a", steep, steep), Curves("b", [], [90.0, 80.0])], path)
    (_, _, low), (_, _, high) = marks_in(path)
    assert high < low - 100


def test_runs_of_no_epoch_but_one_and_with_gaps_are_plotted(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    plot_runs([Curves("a", [2.0], [2.0]), Curves("b", [NAN, 1.0], [2.0, NAN]), Curves("c", [], [3.0])], path)
    assert {"a: 2.000, epoch 1", "b: 2.000, epoch 1", "c: 3.000, epoch 1"} <= set(texts_in(path))


def test_more_runs_than_colours_have_other_marks(tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    plot_runs([Curves(str(n), [n + 1.0, n], [n + 1.0, n]) for n in range(12)], path)
    colours = [colour for colour, _, _ in marks_in(path)]
    assert len(set(colours)) == 10 and colours[10:] == colours[:2]
    assert len([text for text in texts_in(path) if "epoch 2" in text]) == 12


@pytest.mark.parametrize("runs", [[], [Curves("a", [1.0], [])], [Curves("a", [1.0], [NAN])]])
def test_refuses_runs_without_a_point(tmp_path: Path, runs: list[Curves]) -> None:
    with pytest.raises(RollError, match="runs with a finite value in validation"):
        plot_runs(runs, tmp_path / "runs.png")


@pytest.mark.parametrize("epochs", [1, 12])
def test_curves_over_epochs_and_over_seconds(tmp_path: Path, epochs: int) -> None:
    nlls, seconds = [9.0 - epoch / 4 for epoch in range(epochs)], [0.5 * epoch for epoch in range(epochs)]
    runs = [Curves("GRU 46", nlls, nlls, seconds), Curves("tanh 100", [9.5], [9.0], [0.1])]
    plot_time_curves(runs, ["red", "#00ff00"], tmp_path / "time.svg", "JSB Chorales")
    texts = texts_in(tmp_path / "time.svg")
    assert {"JSB Chorales", "GRU 46", "tanh 100", "validation", "train", "best epoch"} <= set(texts)
    assert {"against epochs", "against wall-clock time", "epoch", "seconds"} <= set(texts)


def test_a_range_test_has_its_rates_marked(tmp_path: Path) -> None:
    marks = {"fastest": 0.01, "lowest": 0.1}
    plot_range_test(
        [0.001, 0.01, 0.1, 1.0], [9.0, 8.0, 6.0, 12.0], marks, tmp_path / "range.svg", "adam on $x$"
    )
    texts = {text.strip() for text in texts_in(tmp_path / "range.svg")}
    assert {"adam on $x$", "fastest: 0.01", "lowest: 0.1", "learning rate", "NLL per frame (nats)"} <= texts
