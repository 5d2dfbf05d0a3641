"""Text and plots of ``show`` for runs that are done, in progress or just started."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from musicrnn.checkpoint import Epoch, new_model, save_config, save_weights, write_metrics
from musicrnn.music import Layout
from musicrnn.training import Recipe
from tests.conftest import ran

Invoke = Callable[..., Result]

DATA = {"name": "tiny", "directory": "c", **Layout(4, 60, 71).to_dict(), "tempo": 90, "metre": [3, 4]}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def texts_in(path: str) -> list[str]:
    """The texts of an SVG picture, which matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", Path(path).read_text())


def make_run(
    path: str,
    valid: list[float] | None,
    weights: bool = True,
    data: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Write a run whose training NLL is below that in validation by 1, at 100 and 300 frames per second."""
    directory, data, recipe = Path(path), data or DATA, Recipe.of(**{"hidden": 8, **settings})
    model = new_model(recipe.network, data)
    save_config(directory, model, recipe.to_dict())
    if weights:
        save_weights(directory, model.state_dict())
    if valid is not None:
        history = [
            Epoch(
                epoch=epoch,
                train_nll=nll - 1,
                valid_nll=nll,
                learning_rate=0.01,
                gradient_norm=1.0,
                frames_per_second=300 if epoch % 2 else 100,
                seconds=2.5 * epoch,
            )
            for epoch, nll in enumerate(valid, 1)
        ]
        write_metrics(directory, history)
    return directory


def table_of(output: str) -> dict[str, list[str]]:
    """The words of a table's rows, wherever they stand, by the first of them."""
    rows: dict[str, list[str]] = {}
    for line in output.split("\nNLL: ")[0].splitlines():
        if line and not line.startswith(" "):
            rows.setdefault(line.split()[0], []).extend(line.split()[1:])
    return rows


def test_models_are_compared_in_a_table(invoke: Invoke) -> None:
    runs = make_run("a", [5, 4, 4.5]), make_run("b", [3, 2.5], cell="tanh", hidden=9, learning_rate=1e-4)
    assert ran(invoke("show", *runs)).splitlines() == [
        "                                        best  train  valid                       learning",
        "run  cell  hidden  parameters  epochs  epoch    NLL    NLL    seconds  frames/s      rate",
        "a    gru        8       1,008       3      2  3.000  4.000        7.5       180      0.01",
        "b    tanh       9         546       2      2  1.500  2.500 *      5.0       150    0.0001",
        "",
        "NLL: nats per frame in the best epoch; train with noise and dropout, while weights move. *: lowest.",
    ]


def test_settings_that_differ_are_columns(invoke: Invoke) -> None:
    runs = (
        make_run("a", [5], optimizer="adam", epochs=30),
        make_run("b", [5], optimizer="adam", epochs=40, learning_rate=0.01, peepholes=True, cell="lstm"),
    )
    page = ran(invoke("show", *runs))
    rows = table_of(page)
    assert (rows["a"][-2:], rows["b"][-2:]) == (["no", "30"], ["yes", "40"])
    assert "peepholes" in page and "at most" in page
    assert "rate" not in page and "optimizer" not in page  # both learn at adam's usual rate
    assert page.count("*") == 3  # both are the best


def test_ten_runs_with_many_settings_fit_into_100_columns(invoke: Invoke) -> None:
    cells = ("gru", "gru-reset-after", "gru-simplified", "lstm", "scrn")
    runs = [
        make_run(
            f"models/chorales-{cell}/{seed}",
            [5 + seed / 10, 4],
            cell=cell,
            seed=seed,
            batch_size=8 + seed,
            variational_dropout=seed == 1,
            adaptive_weight_noise=cell == "lstm",
            transpose=f"-{seed}:{seed}",
            schedule=("cosine", "plateau")[seed],
        )
        for cell in cells
        for seed in (0, 1)
    ]
    page = ran(invoke("show", *runs))
    assert max(map(len, page.splitlines())) <= 100
    rows = table_of(page)
    assert [name for name in rows if name != "run"] == [
        f"chorales-{cell}/{seed}" for cell in cells for seed in (0, 1)
    ]
    assert len({len(words) for name, words in rows.items() if name.endswith("/1")}) == 1
    assert {"-1:1", "plateau", "9", "yes"} <= set(rows["chorales-lstm/1"])


def test_names_of_runs_are_distinguishable(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = [make_run(path, [4]) for path in ("x/gru", "y/gru", "x/lstm")]
    names = [name for name in table_of(ran(invoke("show", *runs, "x/gru"))) if name != "run"]
    assert names == ["x/gru", "y/gru", "lstm"]  # and the first one again
    assert "x/gru (2)" in ran(invoke("show", *runs, "x/gru"))
    monkeypatch.chdir(tmp_path / "x" / "gru")
    assert {"x/gru", "y/gru"} <= set(table_of(ran(invoke("show", ".", "../../y/gru"))))


def test_runs_that_have_just_begun_are_shown_with_dashes(invoke: Invoke) -> None:
    done, begun = make_run("done", [4]), make_run("begun", None, weights=False)
    empty, diverged = make_run("empty", [], weights=False), make_run("diverged", [float("nan")])
    rows = table_of(ran(invoke("show", done, begun, empty, diverged)))
    assert rows["done"] == ["gru", "8", "1,008", "1", "1", "3.000", "4.000", "*", "2.5", "300"]
    assert rows["begun"] == rows["empty"] == ["gru", "8", "1,008", "0", "-", "-", "-", "-", "-"]
    assert rows["diverged"] == ["gru", "8", "1,008", "1", "-", "-", "-", "2.5", "300"]
    assert re.search("^valid_nll +-$", ran(invoke("show", begun)), re.MULTILINE)
    documents = json.loads(ran(invoke("show", done, begun, "--json")))
    names = ("train_nll", "valid_nll", "best_epoch", "epochs", "seconds", "frames_per_second", "parameters")
    assert [[document[name] for name in names] for document in documents] == [
        [3, 4, 1, 1, 2.5, 300, 1008],
        [None, None, None, 0, None, None, 1008],
    ]
    result = invoke("show", done, begun, "-o", "c.svg")
    assert (ran(result), result.stderr) == ("c.svg\n", "begun: no epoch to plot yet\n")
    assert "done: 4.000, epoch 1" in texts_in("c.svg") and "begun" not in str(texts_in("c.svg"))
    result = invoke("show", begun, empty, "-o", "none.svg")
    assert result.exit_code == 1 and "begun: expected at least one epoch to plot, found none" in result.stderr
    assert not Path("none.svg").exists()


def test_runs_on_different_corpora_come_with_a_warning(invoke: Invoke) -> None:
    other = {**DATA, "name": "other", **Layout(8, 60, 71, "frame").to_dict()}
    runs = make_run("a", [4]), make_run("b", [2], data=other)
    page = ran(invoke("show", *runs))
    assert "*" not in page and table_of(page)["b"][-1] == "other"
    assert " ".join(page.split("weights move.")[1].split()) == (
        "Different corpora, whose NLLs don't compare: tiny, D=24 (frame+onset, pitches 60:71, 4 per "
        "quarter); other, D=12 (frame, pitches 60:71, 8 per quarter)."
    )
    ran(invoke("show", *runs, "-o", "c.svg"))
    assert "Different corpora: the NLLs don't compare" in texts_in("c.svg")
    moved = make_run("c", [2], data={**DATA, "directory": "elsewhere"})
    assert "corpora" not in ran(invoke("show", runs[0], moved))


def test_learning_curves_of_one_run_and_of_several(invoke: Invoke) -> None:
    runs = make_run("x/run", [5, 4, 4.5]), make_run("y/run", [5, 3])
    assert ran(invoke("show", *runs, "-o", "both.svg")) == "both.svg\n"
    assert {"x/run: 4.000, epoch 2", "y/run: 3.000, epoch 2", "train", "validation"} <= set(
        texts_in("both.svg")
    )
    ran(invoke("show", runs[0], "-o", "one.svg"))
    assert {"run", "train", "validation"} <= set(texts_in("one.svg"))


@pytest.mark.parametrize("line", ["{", "{}", "[1]", '{"epoch": 1, "train_nll": null}'])
def test_damaged_metrics_are_one_line_on_stderr(invoke: Invoke, line: str) -> None:
    run = make_run("a", [4])
    (run / "metrics.jsonl").write_text(f"{line}\n")
    result = invoke("show", run, run)
    assert result.exit_code == 1 and "metrics.jsonl: expected a line of JSON per epoch" in result.stderr


def test_a_damaged_description_is_one_line_on_stderr(invoke: Invoke) -> None:
    run = make_run("a", None, weights=False)
    document = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**document, "network": {"cell": "gru"}}))
    result = invoke("show", run, run)
    assert result.exit_code == 1 and "expected the description of a network, found damage" in result.stderr
