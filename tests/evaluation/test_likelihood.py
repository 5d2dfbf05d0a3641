from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from musicrnn.checkpoint import load_model
from musicrnn.corpus import Corpus, Preparation, build_corpus, collect
from musicrnn.errors import ModelError
from musicrnn.evaluation import evaluate, unigram_nll, unigram_rates
from musicrnn.music import Layout
from musicrnn.nn import ModelConfig, build
from tests.evaluation.rolls import LAYOUT, Splits, random_pieces, split

SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"


def one_by_one(model, corpus: Corpus, split: str) -> list[np.ndarray]:
    with torch.no_grad():
        return [
            model.nll(torch.from_numpy(roll.frames[None]).float())[0].double().numpy()
            for roll in corpus[split]
        ]


def test_batches_and_padding_do_not_change_the_measure(corpus: Corpus, trained: Path) -> None:
    model = load_model(trained)
    nats, found = one_by_one(model, corpus, "train"), evaluate(model, corpus, "train")
    assert found.frames == corpus["train"].frames == sum(map(len, nats))
    assert found.nll_per_frame == pytest.approx(np.concatenate(nats).mean(), rel=1e-5)
    assert [piece.nll_per_frame for piece in found.pieces] == pytest.approx(
        [n.mean() for n in nats], rel=1e-5
    )
    assert [piece.name for piece in found.pieces] == [piece.name for piece in corpus["train"].pieces]
    notes = sum(roll.sounding.sum() for roll in corpus["train"])
    assert found.nll_per_note == pytest.approx(np.concatenate(nats).sum() / notes, rel=1e-5)


def test_the_first_frame_can_be_left_out(corpus: Corpus, trained: Path) -> None:
    model = load_model(trained)
    nats = np.concatenate([piece[1:] for piece in one_by_one(model, corpus, "test")])
    found = evaluate(model, corpus, skip_first_frame=True)
    assert (found.frames, found.nll_per_frame) == (len(nats), pytest.approx(nats.mean(), rel=1e-5))


def test_a_network_that_knows_only_frequencies_is_as_good_as_the_baseline(corpus: Corpus) -> None:
    model = build(ModelConfig(corpus.layout.width, hidden=3), corpus.facts())
    torch.nn.init.zeros_(model.head.linear.weight)
    with torch.no_grad():
        model.head.linear.bias.copy_(torch.logit(torch.from_numpy(unigram_rates(corpus["train"]))))
    for skip in (False, True):
        found = evaluate(model, corpus, skip_first_frame=skip)
        assert found.nll_per_frame == pytest.approx(found.baseline_nll, rel=1e-5)


def test_metrics_compare_what_sounds(corpus: Corpus) -> None:
    model = build(ModelConfig(corpus.layout.width, hidden=3), corpus.facts())
    torch.nn.init.zeros_(model.head.linear.weight)
    with torch.no_grad():  # the bass always sounds; every onset is predicted too, and must not count
        model.head.linear.bias.fill_(-9)[0] = 9
        model.head.linear.bias[corpus.layout.pitches :] = 9
    metrics = evaluate(model, corpus, "train").metrics
    assert metrics.precision == 1
    notes = sum(int(roll.sounding.sum()) for roll in corpus["train"])
    assert metrics.recall == pytest.approx(corpus["train"].frames / notes)


def test_both_conventions_and_both_averages(corpus: Corpus, trained: Path) -> None:
    model = load_model(trained)
    nats = one_by_one(model, corpus, "test")
    for skip in (False, True):
        found = evaluate(model, corpus, skip_first_frame=skip)
        for averages, start in ((found.first_included, 0), (found.first_skipped, 1)):
            cut = [piece[start:] for piece in nats]
            assert averages.pooled == pytest.approx(np.concatenate(cut).mean(), rel=1e-5)
            assert averages.of_pieces == pytest.approx(np.mean([piece.mean() for piece in cut]), rel=1e-5)
        assert found.averages == (found.first_skipped if skip else found.first_included)
        assert found.nll_per_frame == pytest.approx(found.averages.pooled)
        assert found.nll_per_piece == pytest.approx(np.mean([piece[skip:].sum() for piece in nats]), rel=1e-5)
        assert found.interval is not None and found.interval.low < found.nll_per_frame < found.interval.high


def test_pieces_of_one_frame_and_no_training_pieces() -> None:
    model = build(ModelConfig(LAYOUT.width, hidden=3))
    corpus = cast(Corpus, Splits(test=split(random_pieces([1, 1], 0))))
    found = evaluate(model, corpus, skip_first_frame=True)
    assert (found.frames, found.interval, found.baselines, found.baseline_nll) == (0, None, None, None)
    assert np.isnan([found.nll_per_frame, found.nll_per_note, found.first_skipped.of_pieces]).all()
    assert found.profile.stretches() == []
    assert found.first_included.pooled == evaluate(model, corpus).nll_per_frame
    mixed = cast(Corpus, Splits(test=split(random_pieces([1, 9], 0))))
    found = evaluate(model, mixed, skip_first_frame=True)
    assert [piece.frames for piece in found.pieces] == [0, 8] and found.interval is None
    assert found.averages.of_pieces == found.averages.pooled == pytest.approx(found.pieces[1].nll_per_frame)


def test_a_model_for_other_frames_is_refused(corpus: Corpus, trained: Path) -> None:
    narrow = build(ModelConfig(88))
    with pytest.raises(ModelError, match=r"tiny: expected frames of D=88, as the model, found D=24"):
        evaluate(narrow, corpus)
    model = load_model(trained)
    model.data = {**model.data, "resolution": 2}
    with pytest.raises(
        ModelError, match=r"expected D=24 .*2 per quarter\), as the model, found D=24 .*4 per"
    ):
        evaluate(model, corpus)


@pytest.mark.parametrize(
    ("name", "frames", "baseline"),
    [
        ("JSB_Chorales", 4_725, 11.06),
        ("Nottingham", 44_463, 10.25),
        ("MuseData", 64_339, 11.51),
        ("Piano_midi", 19_036, 11.05),
    ],
)
def test_published_baselines(name: str, frames: int, baseline: float, tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("needs the published benchmarks in ../shared")
    collection = collect([str(SHARED / f"{name}.mat")])
    assert collection.layout is not None
    corpus = build_corpus(collection, Preparation(collection.layout), tmp_path / "corpus").corpus
    assert replace(corpus.layout, resolution=4) == Layout(channels="frame")
    assert corpus["test"].frames == frames
    assert unigram_nll(unigram_rates(corpus["train"]), corpus["test"]) == pytest.approx(baseline, abs=0.01)
