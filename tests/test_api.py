"""The names that notebooks and other programs use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import musicrnn
from musicrnn.corpus import Corpus


def test_the_whole_way_from_python(corpus: Corpus, trained: Path, midi_folder: Path, tmp_path: Path) -> None:
    score = musicrnn.read_midi(midi_folder / "piece-00.mid")
    roll = musicrnn.to_pianoroll(score, resolution=4)
    assert roll.frames.dtype == "uint8" and roll.frames.shape[1] == 176
    assert musicrnn.open_corpus(str(corpus.directory))["test"][0].frames.shape[1] == 24
    layer = musicrnn.nn.Recurrent("gru", input_size=88, hidden_size=46)
    y, state = layer(torch.zeros(2, 5, 88))
    assert y.shape == (2, 5, 46) and state[0][0].shape == (2, 46)
    model = musicrnn.load_model(str(trained))
    assert model.nll(torch.zeros(2, 5, 24), torch.ones(2, 5, dtype=torch.bool)).shape == (2, 5)
    roll = musicrnn.generate(model, frames=32, temperature=1.0, seed=7)
    musicrnn.write_midi(musicrnn.to_score(roll, tempo=100), str(tmp_path / "out.mid"))
    assert musicrnn.to_pianoroll(musicrnn.read_midi(tmp_path / "out.mid"), 4, (60, 71)) == roll


def test_unknown_names_are_refused_and_known_ones_listed() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = musicrnn.nothing
    for name in dir(musicrnn):
        assert getattr(musicrnn, name) is not None
