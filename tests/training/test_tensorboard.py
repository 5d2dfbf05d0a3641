"""What TensorBoard reads of a training is what the epochs said, however often it was resumed."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from musicrnn.checkpoint import Epoch
from musicrnn.errors import FileError, UsageError
from musicrnn.nn import MusicRNN, NetworkSettings
from musicrnn.training.tensorboard import TAGS, TensorBoard

accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

EPOCHS = [
    Epoch(
        epoch=number,
        train_nll=9.5 / number,
        valid_nll=8.25 / number,
        learning_rate=0.01,
        gradient_norm=1.5,
        frames_per_second=1000.0 + number,
        seconds=2.0 * number,
        padding=0.125,
        skipped=number - 1,
    )
    for number in range(1, 6)
]


@pytest.fixture(scope="module")
def model() -> MusicRNN:
    torch.manual_seed(0)
    return MusicRNN(NetworkSettings.of(hidden=2), 4)


def write(directory: Path, model: MusicRNN, done: list[Epoch], new: list[Epoch]) -> None:
    with TensorBoard(directory) as callback:
        callback.begin(model, 100, done, 0)
        callback.advance(50)
        for metrics in new:
            callback.epoch(metrics, best=True)


def points(directory: Path, tag: str) -> list[tuple[int, float]]:
    """The steps and values of a tag, as TensorBoard's own reader gives them."""
    return [(event.step, event.value) for event in events(directory, tag)]


def events(directory: Path, tag: str) -> list:
    read = accumulators.EventAccumulator(str(directory / "tensorboard"))
    return read.Reload().Scalars(tag)


def test_every_metric_has_a_point_for_every_epoch(tmp_path: Path, model: MusicRNN) -> None:
    write(tmp_path, model, [], EPOCHS)
    assert set(TAGS) == {entry.name for entry in fields(Epoch)} - {"epoch", "seconds"}
    for name, tag in TAGS.items():
        assert points(tmp_path, tag) == [
            (metrics.epoch, pytest.approx(getattr(metrics, name))) for metrics in EPOCHS
        ]
    assert points(tmp_path, "nll/train")[0] == (1, 9.5) and points(tmp_path, "nll/valid")[0] == (1, 8.25)


@pytest.mark.parametrize("seen", [1, 2, 3, 5], ids="{} epochs written before".format)
def test_resuming_after_two_epochs_leaves_one_point_each(tmp_path: Path, model: MusicRNN, seen: int) -> None:
    write(tmp_path, model, [], [replace(metrics, train_nll=100.0) for metrics in EPOCHS[:seen]])
    write(tmp_path, model, EPOCHS[:2], EPOCHS[2:4])
    write(tmp_path, model, EPOCHS[:4], EPOCHS[4:])
    assert points(tmp_path, "nll/train") == [
        (metrics.epoch, pytest.approx(metrics.train_nll)) for metrics in EPOCHS
    ]


def test_epochs_before_the_first_watch_are_written_when_they_would_have_been(
    tmp_path: Path, model: MusicRNN
) -> None:
    write(tmp_path, model, EPOCHS[:3], [])
    times = [event.wall_time for event in events(tmp_path, "nll/valid")]
    assert [time - times[0] for time in times] == pytest.approx([0, 2, 4], abs=1e-3)


def test_points_can_be_read_during_training(tmp_path: Path, model: MusicRNN) -> None:
    with TensorBoard(tmp_path) as callback:
        callback.begin(model, 100, [], 0)
        callback.epoch(EPOCHS[0], best=True)
        assert points(tmp_path, "nll/train") == [(1, 9.5)]


def test_no_file_is_written_before_training(tmp_path: Path) -> None:
    with TensorBoard(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, model: MusicRNN) -> None:
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(FileError, match="tensorboard: can't write"):
        write(tmp_path, model, [], [])


def test_asks_for_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        UsageError, match=r"--tensorboard needs TensorBoard: pip install 'musicrnn\[tensorboard\]'"
    ):
        TensorBoard(tmp_path)
