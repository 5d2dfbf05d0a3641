from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from musicrnn.checkpoint import load_model, new_model
from musicrnn.corpus import Corpus, Preparation, build_corpus, collect
from musicrnn.errors import ModelError
from musicrnn.evaluation import evaluate
from musicrnn.evaluation.baselines import measure_baselines
from musicrnn.music import Layout
from musicrnn.nn import MusicRNN, NetworkSettings
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


def test_a_network_with_constant_frequencies_equals_the_baseline(corpus: Corpus) -> None:
    model = new_model(NetworkSettings.of(hidden=3), corpus.facts())
    torch.nn.init.zeros_(model.head.linear.weight)
    frames = np.concatenate([roll.frames for roll in corpus["train"]])
    rates = (frames.sum(0) + 0.5) / (len(frames) + 1)
    with torch.no_grad():
        model.head.linear.bias.copy_(torch.logit(torch.from_numpy(rates)))
    for skip in (False, True):
        found = evaluate(model, corpus, skip_first_frame=skip)
        assert found.nll_per_frame == pytest.approx(found.baselines.unigram, rel=1e-5)


def test_metrics_compare_the_frame_channel(corpus: Corpus) -> None:
    model = new_model(NetworkSettings.of(hidden=3), corpus.facts())
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
            assert averages.nll_per_frame == pytest.approx(np.concatenate(cut).mean(), rel=1e-5)
            means = [piece.mean() for piece in cut]
            assert averages.nll_mean_of_pieces == pytest.approx(np.mean(means), rel=1e-5)
        chosen = found.first_skipped if skip else found.first_included
        assert found.nll_per_frame == chosen.nll_per_frame
        assert found.nll_mean_of_pieces == chosen.nll_mean_of_pieces
        assert found.nll_per_piece == pytest.approx(np.mean([piece[skip:].sum() for piece in nats]), rel=1e-5)
        assert found.interval is not None and found.interval.low < found.nll_per_frame < found.interval.high


def test_pieces_of_one_frame_and_no_training_pieces() -> None:
    model = MusicRNN(NetworkSettings.of(hidden=3), LAYOUT.width)
    corpus = cast(Corpus, Splits(test=split(random_pieces([1, 1], 0))))
    found = evaluate(model, corpus, skip_first_frame=True)
    assert (found.frames, found.interval, found.baselines) == (0, None, None)
    assert np.isnan([found.nll_per_frame, found.nll_per_note, found.first_skipped.nll_mean_of_pieces]).all()
    assert found.nll_per_position == []
    assert found.first_included.nll_per_frame == evaluate(model, corpus).nll_per_frame
    mixed = cast(Corpus, Splits(test=split(random_pieces([1, 9], 0))))
    found = evaluate(model, mixed, skip_first_frame=True)
    assert [piece.frames for piece in found.pieces] == [0, 8] and found.interval is None
    assert found.nll_mean_of_pieces == found.nll_per_frame == pytest.approx(found.pieces[1].nll_per_frame)


def test_a_model_for_other_frames_is_refused(corpus: Corpus, trained: Path) -> None:
    narrow = MusicRNN(NetworkSettings.of(), 88)
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
    unigram = measure_baselines(corpus["train"], corpus["test"]).unigram
    assert unigram == pytest.approx(baseline, abs=0.01)
