"""``musicrnn evaluate``: figures in JSON and as text, comparison, plot, dynamic evaluation."""

from __future__ import annotations

import json
import math
import re
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from musicrnn.corpus import Corpus, Preparation, build_corpus, collect
from musicrnn.evaluation import Adaptation
from tests.conftest import ran

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def other(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from musicrnn.training import Recipe
    from musicrnn.training.loop import train

    directory = tmp_path_factory.mktemp("models") / "other"
    train(corpus, Recipe.of(cell="tanh", hidden=4, epochs=1, batch_size=4), directory)
    return directory


def measured(invoke: Invoke, *arguments: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ran(invoke("evaluate", *arguments, "--json")))
    return document


def test_the_document_has_every_figure(invoke: Invoke, corpus: Corpus, trained: Path) -> None:
    found = measured(invoke, trained, corpus.directory)
    skipped = measured(invoke, trained, corpus.directory, "--skip-first-frame")
    for document, own in ((found, "first_included"), (skipped, "first_skipped")):
        assert document["nll_per_frame"] == pytest.approx(document[f"nll_per_frame_{own}"])
        assert document["nll_mean_of_pieces"] == document[f"nll_mean_of_pieces_{own}"]
        interval = document["confidence_interval"]
        assert interval["low"] < document["nll_per_frame"] < interval["high"] and interval["level"] == 0.95
        assert document["baselines"]["unigram"] == document["baseline_nll"]
        assert document["baselines"]["bigram"] < document["baseline_nll"]
        total = document["nll_per_frame"] * document["frames"]
        assert document["nll_per_piece"] == pytest.approx(total / document["pieces"])
        cells = sum(part["cells"] for part in document["calibration"]["bins"])
        assert cells == document["frames"] * corpus.layout.width
        assert 0 < document["calibration"]["ece"] < document["calibration"]["ece_likely"] < 1
        assert set(document["repeat_metrics"]) == {"accuracy", "precision", "recall", "f1"}
    assert (found["skip_first_frame"], skipped["skip_first_frame"]) == (False, True)
    for name in ("nll_per_frame", "nll_mean_of_pieces"):
        for own in ("first_included", "first_skipped"):
            assert found[f"{name}_{own}"] == skipped[f"{name}_{own}"]
    assert not {"against", "dynamic", "per_piece", "picture", "nll_per_pitch"} & set(found)


def test_the_text_labels_every_figure(invoke: Invoke, corpus: Corpus, trained: Path) -> None:
    text, found = (
        ran(invoke("evaluate", trained, corpus.directory)),
        measured(invoke, trained, corpus.directory),
    )
    assert f"{found['nll_per_frame']:.3f} nats (95% confidence interval over pieces" in text
    for words, name in (("pooled over frames", "nll_per_frame"), ("mean of pieces", "nll_mean_of_pieces")):
        included, skipped = found[f"{name}_first_included"], found[f"{name}_first_skipped"]
        line = rf"{words} +{included:.3f} first frame included, {skipped:.3f} first frame left out"
        assert re.search(line, text)
    for words in ("note unigram", "note bigram", "last frame repeated", "NLL per note", "NLL per piece",
                  "expected error", "predicted probability", "observed frequency", "F1"):  # fmt: skip
        assert words in text
    assert "nan" not in text


def test_two_models_are_compared(invoke: Invoke, corpus: Corpus, trained: Path, other: Path) -> None:
    found = measured(invoke, trained, corpus.directory, "--against", other, "--split", "train")
    against = found["against"]
    alone = measured(invoke, other, corpus.directory, "--split", "train")
    assert (against["model"], against["nll_per_frame"]) == (str(other), alone["nll_per_frame"])
    assert against["difference"] == pytest.approx(found["nll_per_frame"] - alone["nll_per_frame"])
    assert against["interval"]["low"] <= against["difference"] <= against["interval"]["high"]
    assert against["better"] + against["worse"] + against["equal"] == found["pieces"]
    assert 0 < against["permutation_p"] <= 1 and 0 < against["wilcoxon_p"] <= 1
    text = ran(invoke("evaluate", trained, corpus.directory, "--against", other))
    assert f"against {other}: " in text and "by the permutation test" in text and "Wilcoxon" in text


def test_the_picture_and_the_figures_in_it(
    invoke: Invoke, corpus: Corpus, trained: Path, other: Path
) -> None:
    found = measured(invoke, trained, corpus.directory, "--picture", "x.png", "--against", trained)
    assert Path("x.png").read_bytes()[:4] == b"\x89PNG" and found["picture"] == "x.png"
    assert list(found["nll_per_pitch"]) == [str(pitch) for pitch in range(60, 72)]
    assert sum(found["nll_per_pitch"].values()) == pytest.approx(found["nll_per_frame"], rel=1e-4)
    positions = found["nll_per_position"]
    assert sum(part["frames"] for part in positions) == found["frames"]
    assert sum(part["frames"] * part["nll_per_frame"] for part in positions) == pytest.approx(
        found["nll_per_frame"] * found["frames"]
    )
    assert "picture        y.svg" in ran(
        invoke("evaluate", trained, corpus.directory, "--picture", "y.svg", "--against", other)
    )
    assert str(other) in Path("y.svg").read_text()


def test_dynamic_evaluation_is_reported_apart(invoke: Invoke, corpus: Corpus, trained: Path) -> None:
    plain = measured(invoke, trained, corpus.directory)
    flags = ("--dynamic", "--dynamic-rate", 0.3, "--dynamic-decay", 0.01, "--dynamic-segment", 4)
    one, two = (measured(invoke, trained, corpus.directory, *flags) for _ in "ab")
    assert {**one.pop("dynamic"), "seconds": 0} == {**two["dynamic"], "seconds": 0}, "same bytes"
    assert {**one, "seconds": 0} == {**plain, "seconds": 0}, "the rest stays what it is"
    dynamic = two["dynamic"]
    assert (dynamic["rate"], dynamic["decay"], dynamic["segment"]) == (0.3, 0.01, 4)
    gain = dynamic["against_static"]["difference"]
    assert dynamic["nll_per_frame"] - plain["nll_per_frame"] == pytest.approx(gain) != 0
    assert dynamic["frames"] == plain["frames"]
    still = measured(invoke, trained, corpus.directory, "--dynamic", "--dynamic-rate", 0)["dynamic"]
    assert still["nll_per_frame"] == pytest.approx(plain["nll_per_frame"], rel=1e-5)
    text = ran(invoke("evaluate", trained, corpus.directory, *flags))
    assert "dynamic evaluation: " in text and "after every 4 frames scored; rate 0.3, decay 0.01" in text


def test_the_help_has_the_defaults_of_adapting(invoke: Invoke) -> None:
    text = re.sub(r"\s+", " ", ran(invoke("evaluate", "--help")))
    usual = Adaptation()
    for name in ("rate", "decay", "segment"):
        (shown,) = re.findall(rf"--dynamic-{name} <[a-z]+> .*?\[default: (.*?)\]", text)
        assert float(shown) == getattr(usual, name)


def wide_model(directory: Path) -> Path:
    """An untrained model for the 88 pitches of published rolls."""
    from musicrnn.checkpoint import save_config, save_weights
    from musicrnn.nn import MusicRNN, NetworkSettings

    model = MusicRNN(NetworkSettings.of(hidden=2), 88)
    directory.mkdir()
    save_config(directory, model, {})
    save_weights(directory, model.state_dict())
    return directory


def published(directory: Path, **splits: list[list[list[int]]]) -> Path:
    """A corpus of rolls given by the pitches of each frame."""
    Path("rolls.json").write_text(json.dumps(splits))
    collection = collect(["rolls.json"])
    assert collection.layout is not None
    build_corpus(collection, Preparation(collection.layout), directory)
    return directory


def test_a_corpus_without_training_pieces(invoke: Invoke) -> None:
    model = wide_model(Path("model"))
    rest = published(Path("rest"), train=[[[60], [62]]], valid=[[[59], [61]]], test=[[[64], [65]]])
    index = np.load(rest / "index.npy")
    index["split"] = 2  # a folder that someone made of test pieces alone
    np.save(rest / "index.npy", index)
    head = json.loads((rest / "corpus.json").read_text())
    head["index_crc32"] = zlib.crc32((rest / "index.npy").read_bytes())
    (rest / "corpus.json").write_text(json.dumps(head))
    found = measured(invoke, model, rest)
    assert (found["pieces"], found["baselines"], found["baseline_nll"], found["repeat_metrics"]) == (
        3, None, None, None,
    )  # fmt: skip
    assert "baselines" not in ran(invoke("evaluate", model, rest))
    refused = invoke("evaluate", model, rest, "--dynamic")
    assert refused.exit_code == 1 and "rest: expected a split 'train'" in refused.stderr


def test_pieces_of_one_frame_have_no_frames_without_the_first(invoke: Invoke) -> None:
    model = wide_model(Path("model"))
    short = published(Path("short"), train=[[[60]]], valid=[[[61]]], test=[[[62]], [[63]]])
    found = measured(invoke, model, short, "--skip-first-frame")
    assert (found["frames"], found["nll_per_frame"], found["nll_mean_of_pieces"]) == (0, None, None)
    assert found["confidence_interval"] is None and math.isfinite(found["nll_per_frame_first_included"])
    assert "none nats" in ran(invoke("evaluate", model, short, "--skip-first-frame"))
    refused = invoke("evaluate", model, short, "--skip-first-frame", "--picture", "x.png")
    assert refused.exit_code == 1 and "expected models with counted frames to plot" in refused.stderr


@pytest.mark.parametrize(
    ("flags", "pattern", "code"),
    [
        (("--dynamic-rate", 0.1), "--dynamic-rate: expected --dynamic beside it, found none", 2),
        (("--dynamic", "--dynamic-segment", 0), "segment must have at least 1 frame, got 0", 2),
        (("--against", "nowhere"), "nowhere: expected a model .* found nothing", 1),
        (("--picture", "x.gif"), "x.gif: expected a picture named .png", 1),
    ],
)
def test_invalid_requests_are_one_line(
    invoke: Invoke, corpus: Corpus, trained: Path, flags: tuple[object, ...], pattern: str, code: int
) -> None:
    result = invoke("evaluate", trained, corpus.directory, *flags)
    assert (result.exit_code, result.stdout) == (code, "")
    assert re.fullmatch(rf"error: .*{pattern}.*\n", result.stderr)


def test_another_model_for_other_frames_is_refused(invoke: Invoke, corpus: Corpus, trained: Path) -> None:
    wide_model(Path("wide"))
    result = invoke("evaluate", trained, corpus.directory, "--against", "wide")
    assert result.exit_code == 1
    assert re.search(r"error: wide: .*expected frames of D=88, as the model, found D=24", result.stderr)


def test_a_real_process(
    musicrnn: Callable[..., subprocess.CompletedProcess[bytes]], corpus: Corpus, trained: Path, other: Path
) -> None:
    done = musicrnn(
        "evaluate", trained, corpus.directory, "--against", other, "--dynamic", "--json", "--quiet"
    )
    assert done.returncode == 0 and done.stderr == b""
    assert set(json.loads(done.stdout)) >= {"against", "dynamic", "nll_per_frame"}
