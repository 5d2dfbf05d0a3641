from __future__ import annotations

import pytest

from musicrnn.experiments.chung2014 import paper


def test_the_layers_have_the_sizes_of_table_1() -> None:
    printed = {(row["task"], row["cell"]): (row["hidden"], row["paper"]) for row in paper.table_1()}
    assert printed == {
        ("music", "lstm"): (36, 19.8),
        ("music", "gru"): (46, 20.2),
        ("music", "tanh"): (100, 20.1),
        ("speech", "lstm"): (195, 169.1),
        ("speech", "gru"): (227, 168.9),
        ("speech", "tanh"): (400, 168.4),
    }
    for row in paper.table_1():
        expected = 20.3 if (row["task"], row["cell"]) == ("music", "gru") else row["paper"]
        assert row["here"] == expected and row["parameters"] == pytest.approx(1000 * row["paper"], rel=0.005)


def test_no_other_width_of_the_input_fits_all_rows_on_music() -> None:
    def fits(size: paper.Size, width: int) -> bool:
        layer = paper.Size(size.task, size.cell, size.hidden, width, size.paper)
        return round(layer.parameters / 1000, 1) == size.paper

    music = [size for size in paper.TABLE_1 if size.task == "music"]
    fitting = {width: sum(fits(size, width) for size in music) for width in range(80, 120)}
    assert max(fitting.values()) == fitting[100] == 2


def test_table_2_is_as_printed() -> None:
    assert paper.TABLE_2["jsb"] == {"tanh": (8.82, 9.10), "gru": (6.94, 8.54), "lstm": (8.15, 8.67)}
    assert [len(cells) for cells in paper.TABLE_2.values()] == [3, 3, 3, 3]
    assert set(paper.TABLE_2) == set(paper.TITLES) == set(paper.FRAMES)
