"""The reproduction as a whole: what it writes, and that it can be interrupted anywhere."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus
from musicrnn.errors import UsageError
from musicrnn.evaluation import evaluate
from musicrnn.experiments.chung2014 import Reproduction, check, reproduce, settings, ship
from musicrnn.experiments.trials import run_trial
from tests.experiments.chung2014.tiny import named

pytestmark = pytest.mark.usefixtures("small")


def small_table(
    corpus: Corpus, directory: Path, *cells: str, **options: object
) -> tuple[Reproduction, list[str]]:
    """Reproduce in small on a corpus that is called jsb; return the outcome and the log."""
    lines: list[str] = []
    jsb = named(corpus, "jsb")
    done = reproduce([jsb], cells or ["gru"], directory, workers=1, log=lines.append, **options)  # type: ignore[arg-type]
    return done, lines


def weights(directory: Path) -> dict[str, bytes]:
    """Return the weights of every run."""
    return {path.parent.name: path.read_bytes() for path in directory.glob("runs/*/model.safetensors")}


def test_tables_pictures_and_runs_are_left_behind_and_used_again(corpus: Corpus, tmp_path: Path) -> None:
    done, lines = small_table(corpus, tmp_path)
    (row,) = done.rows
    assert lines.pop(0) == "measuring how long an epoch takes here …"
    assert lines[0].startswith(
        "jsb: gru; 3 rates; the best 2 continue after 1 epochs, the best 1 continue after 2 epochs; at most"
    )
    assert lines[1].startswith("about ") and "on 1 process," in lines[1]
    rates = json.loads((tmp_path / "rates.json").read_text())
    states = [rate["state"] for rate in rates]
    assert sorted(states) == ["chosen", "pruned after 1 epochs", "pruned after 2 epochs"]
    assert (row.paper_train, row.paper_test, row.rates, row.seeds) == (6.94, 8.54, 3, 1)
    model = load_model(Path(row.model))
    assert row.test == pytest.approx(evaluate(model, corpus, "test").nll_per_frame)
    skipped = evaluate(model, corpus, "test", skip_first_frame=True)
    assert row.test_skip_first == pytest.approx(skipped.nll_per_frame)
    each = [piece.nll_per_frame for piece in skipped.pieces]
    assert row.test_skip_first_per_piece == pytest.approx(sum(each) / len(each))

    names = {f"{table}.{kind}" for table in ("table1", "table2", "rates") for kind in ("md", "csv", "json")}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "README.md", "jsb.png", "runs"}
    with (tmp_path / "table2.csv").open() as file:
        (line,) = csv.DictReader(file)
    (entry,) = json.loads((tmp_path / "table2.json").read_text())
    assert float(line["test"]) == entry["test"] == row.test and line["valid_deviation"] == ""
    assert len(json.loads((tmp_path / "table1.json").read_text())) == 6
    page = (tmp_path / "README.md").read_text()
    assert f"| JSB Chorales | GRU 4 | 6.94 | {row.train:.2f} |".replace("GRU 4", f"GRU {row.hidden}") in page
    pruned = next(rate for rate in rates if rate["epochs"] == 1)
    assert f"| 1 | {pruned['valid']:.3f} | pruned after 1 epochs |" in page
    assert "MuseData and Piano-midi.de do not" in page

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/metrics.jsonl")}
    again, lines = small_table(corpus, tmp_path, "gru", "tanh")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [each.cell for each in again.rows] == ["tanh", "gru"] and again.rows[1] == row
    assert not any(line.startswith("jsb gru, rate") for line in lines)


def test_only_what_is_asked_is_trained_and_quick_runs_are_the_same_as_others(
    corpus: Corpus, tmp_path: Path
) -> None:
    quick, _ = small_table(corpus, tmp_path, quick=True)
    assert quick.rows[0].rate == 2 and quick.rows[0].rates == 1
    assert list(weights(tmp_path)) == ["jsb-gru-rate02"]
    first = weights(tmp_path)
    dry, _ = small_table(corpus, tmp_path, dry=True)
    assert dry.rows == [] and dry.seconds > 0 and weights(tmp_path) == first
    small_table(corpus, tmp_path)
    small_table(corpus, tmp_path / "whole")
    after, whole = weights(tmp_path), weights(tmp_path / "whole")
    assert {name: after[name] for name in whole if name != "jsb-gru-rate02"} == {
        name: content for name, content in whole.items() if name != "jsb-gru-rate02"
    }
    assert after["jsb-gru-rate02"] == first["jsb-gru-rate02"]


def test_several_seeds_have_a_mean_and_a_deviation(corpus: Corpus, tmp_path: Path) -> None:
    done, _ = small_table(corpus, tmp_path, quick=True, seeds=2)
    (row,) = done.rows
    tests = [
        evaluate(load_model(tmp_path / "runs" / name), corpus, "test").nll_per_frame
        for name in ("jsb-gru-rate02", "jsb-gru-rate02-seed1")
    ]
    assert row.seeds == 2 and row.test == pytest.approx(sum(tests) / 2)
    assert row.test_deviation == pytest.approx(abs(tests[0] - tests[1]) / 2**0.5)
    assert f"{row.test:.2f} ± {row.test_deviation:.2f}" in (tmp_path / "README.md").read_text()


def test_the_best_are_shipped_with_cards_that_name_the_paper(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsb = named(corpus, "jsb")
    done, _ = small_table(corpus, tmp_path / "out", quick=True)
    monkeypatch.chdir(tmp_path)
    (folder,) = ship(done.rows, {"jsb": jsb}, Path("models/chung2014"))
    names = {"README.md", "config.json", "curves.png", "metrics.jsonl", "model.safetensors"}
    assert {path.name for path in folder.iterdir()} == names and folder.name == "jsb-gru"
    card = (folder / "README.md").read_text()
    assert f"| test | 8.54 | {done.rows[0].test:.2f} |" in card and card.startswith("# jsb-gru\n")
    assert "musicrnn sample models/chung2014/jsb-gru -o" in card
    (row,) = check([jsb], ["gru"])
    assert (row.test, row.learning_rate, row.seconds) == (
        pytest.approx(done.rows[0].test),
        done.rows[0].learning_rate,
        done.rows[0].seconds,
    )


def test_runs_of_other_settings_are_refused(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = settings.Candidate("jsb", "gru", 1)
    run_trial(corpus, candidate.recipe, tmp_path / "runs" / candidate.name, epochs=1)
    monkeypatch.setattr(settings, "MOMENTUM", 0.5)
    with pytest.raises(UsageError, match=r"rate01: expected a run with momentum 0\.5, found 0\.9"):
        small_table(corpus, tmp_path)


def test_a_run_that_fails_is_named_and_the_others_continue(corpus: Corpus, tmp_path: Path) -> None:
    blocked = tmp_path / "runs" / "jsb-gru-rate01"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the run should go")
    done, _ = small_table(corpus, tmp_path, "gru", "tanh")
    assert [row.cell for row in done.rows] == ["tanh"]
    assert len(done.failures) == 1 and done.failures[0].startswith("jsb-gru-rate01: ")
    blocked.unlink()
    again, _ = small_table(corpus, tmp_path, "gru", "tanh")
    assert [row.cell for row in again.rows] == ["tanh", "gru"] and not again.failures


def test_wrong_numbers_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seeds must be at least 1, got 0"):
        reproduce([], ["gru"], tmp_path, seeds=0)
    with pytest.raises(UsageError, match="workers must be at least 0, got -1"):
        reproduce([], ["gru"], tmp_path, workers=-1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_at_any_moment_it_continues_to_the_same_bytes(
    corpus: Corpus, tmp_path: Path, how: signal.Signals
) -> None:
    def begin(directory: Path) -> subprocess.Popen[bytes]:
        # Where tests run in the background SIGINT may be ignored, and a child would inherit that.
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "from tests.experiments.chung2014.tiny import main; main()"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(corpus.directory), str(directory), "12"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stderr=subprocess.DEVNULL,
        )

    process = begin(tmp_path / "disturbed")
    try:
        deadline = time.monotonic() + 300
        while len(list(tmp_path.glob("disturbed/runs/*/resume/state.safetensors"))) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(how)
        process.wait(120)
    finally:
        process.kill()
    assert process.returncode != 0 and not (tmp_path / "disturbed" / "README.md").exists()
    assert begin(tmp_path / "disturbed").wait(900) == 0  # at once: orphans may be saving yet
    assert begin(tmp_path / "undisturbed").wait(900) == 0
    assert weights(tmp_path / "disturbed") == weights(tmp_path / "undisturbed")
    tables = [
        json.loads((tmp_path / name / "rates.json").read_text()) for name in ("disturbed", "undisturbed")
    ]
    assert tables[0] == tables[1]
