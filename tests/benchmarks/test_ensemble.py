from __future__ import annotations

import pytest
import torch

from benchmarks.ensemble import ensemble_nll
from musicrnn.corpus import Corpus
from musicrnn.evaluation import evaluate
from musicrnn.nn import MusicRNN, NetworkSettings


def test_an_ensemble_has_the_mean_of_the_probabilities(corpus: Corpus) -> None:
    torch.manual_seed(0)
    settings = NetworkSettings.of(hidden=4)
    models = [MusicRNN(settings, corpus.layout.width).eval() for _ in range(2)]
    split = corpus["valid"]
    one = evaluate(models[0], corpus, "valid").nll_per_frame
    assert ensemble_nll([models[0]] * 3, split) == pytest.approx(one, rel=1e-6)
    nats = 0.0
    for roll in split:
        frames = torch.from_numpy(roll.frames).float()[None]
        inputs = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)
        with torch.no_grad():
            p = sum(torch.sigmoid(model.features(inputs)[0].log_odds.double()) for model in models) / 2
        nats -= torch.where(frames > 0, p, 1 - p).log().sum().item()
    assert ensemble_nll(models, split) == pytest.approx(nats / split.frames, rel=1e-9)
