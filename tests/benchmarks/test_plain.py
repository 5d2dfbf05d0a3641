"""The plain script that benchmarks compare musicrnn with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import plain
from musicrnn.corpus import Corpus


def test_training_lowers_the_likelihood_of_held_out_pieces(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    for epochs, size in ((1, 1), (10, 1), (10, 4)):
        words = [str(corpus.directory), "--hidden", "8", "--epochs", str(epochs), "--batch-size", str(size)]
        assert plain.main([*words, "--learning-rate", "0.01", "--weight-noise", "0.05"]) == 0
        figures.append(json.loads(capsys.readouterr().out))
    once, many, batched = figures
    assert once["epochs"] == 1 and many["epochs"] == 10
    assert many["valid_nll"] < 0.9 * once["valid_nll"] and batched["valid_nll"] < once["valid_nll"]
    assert many["seconds"] > 0 and many["frames_per_second"] > 0


def test_it_stops_at_the_target_nll(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(corpus.directory), "--hidden", "8", "--epochs", "3"]
    assert plain.main([*words, "--until", "1000"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 1
    assert plain.main([*words, "--until", "0"]) == 1
    assert json.loads(capsys.readouterr().out)["epochs"] == 3


def test_padding_does_not_count() -> None:
    torch.manual_seed(0)
    model = plain.PlainGRU(5, 3)
    pieces = [(torch.rand(frames, 5) < 0.3).float() for frames in (4, 7)]
    alone = [model(*plain.padded(pieces, [index])).item() for index in range(2)]
    together = plain.mean_nll(model, pieces, [[0, 1]])
    assert together == pytest.approx((4 * alone[0] + 7 * alone[1]) / 11)


def test_noise_is_removed() -> None:
    weights = [torch.zeros(3, 2), torch.ones(4)]
    with plain.noise_on(weights, 0.5):
        assert all(weight.std() > 0 for weight in weights)
    assert torch.allclose(weights[0], torch.zeros(3, 2), atol=1e-6)
    assert torch.allclose(weights[1], torch.ones(4), atol=1e-6)


def test_it_uses_nothing_of_musicrnn_but_the_corpus() -> None:
    lines = Path(plain.__file__).read_text().splitlines()
    imports = [line for line in lines if line.startswith(("import", "from")) and "musicrnn" in line]
    assert imports == ["from musicrnn.corpus import Corpus, open_corpus"]
