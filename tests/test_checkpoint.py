from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from musicrnn.checkpoint import Epoch, load_model, read_metrics, save_config, save_weights, write_metrics
from musicrnn.errors import FileError, ModelError
from musicrnn.nn import MusicRNN, NetworkSettings


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = MusicRNN(
        NetworkSettings.of(cell="lstm", hidden=5, layers=2, peepholes=True, dropout=0.1),
        24,
        data={"resolution": 4},
    )
    save_config(tmp_path, model, {})
    save_weights(tmp_path, model.state_dict())
    found = load_model(tmp_path)
    assert (found.settings, found.data, found.training) == (model.settings, model.data, False)
    frames = (torch.rand(2, 7, 24) < 0.2).float()
    torch.testing.assert_close(found.nll(frames), model.eval().nll(frames), rtol=0, atol=0)


def change(**entries: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))

    return damage


def rename_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["other"] = weights.pop("head.linear.bias")
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "expected a model .* found nothing"),
        (
            lambda folder: (folder / "config.json").unlink(),
            "expected a model .* found a folder without config.json",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: expected JSON, found damage"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json: .* found other JSON"),
        (change(version=99), "config.json: expected musicrnn-model version 2, found 99"),
        (change(network={"cell": "gru"}), "config.json: .* found damage"),
        (
            change(network={"input_size": 24, "cell": "gruu"}),
            "config.json: .* found damage: cell must be one of",
        ),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "model.safetensors: can't read: No such file",
        ),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99),
            r"safetensors\), found damage",
        ),
        (change(network={"input_size": 24, "hidden": 9}), r"weight_ih of shape \(27, 24\), found \(24, 24\)"),
        (rename_tensor, r"expected head.linear.bias of shape \(24,\), found nothing"),
    ],
)
def test_damage_gives_its_line(
    trained: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_a_corpus_given_for_a_model_is_called_by_its_name(corpus) -> None:
    with pytest.raises(ModelError, match=r"expected a model .* found a corpus"):
        load_model(corpus.directory)


def test_metrics_come_back_as_they_were(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    history = [
        Epoch(1, 9.5, math.inf, 0.01, 1.5, 900.0, 2.0, 0.1, 3),
        Epoch(2, 9, 8.5, 0.01, 1.5, 900.0, 2.0),
    ]
    write_metrics(tmp_path, history)
    assert read_metrics(tmp_path) == history


@pytest.mark.parametrize("line", ["{", "{}", "[1]", "1", '{"epoch": 1, "train_nll": null}'])
def test_damaged_metrics_give_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f"{line}\n")
    with pytest.raises(FileError, match=r"metrics\.jsonl: expected a line of JSON per epoch, found damage"):
        read_metrics(tmp_path)
