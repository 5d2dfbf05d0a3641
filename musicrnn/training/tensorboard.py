"""Learning curves for TensorBoard, which plots those of many runs together while they train.

A run's folder ``tensorboard`` has a point for each epoch. Resuming adds a file with all points again, and
TensorBoard drops the earlier ones: so none is missing after a crash or when it is requested late.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from musicrnn.checkpoint import Epoch
from musicrnn.errors import UsageError
from musicrnn.files import written
from musicrnn.nn import MusicRNN
from musicrnn.training.callbacks import Callback

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TAGS = {
    "train_nll": "nll/train",
    "valid_nll": "nll/valid",
    "learning_rate": "updates/learning_rate",
    "gradient_norm": "updates/gradient_norm",
    "skipped": "updates/skipped",
    "frames_per_second": "batches/frames_per_second",
    "padding": "batches/padding",
}
"""The metrics that are written, and their tags; the part before the slash groups the charts."""


class TensorBoard(Callback):
    """A callback that writes the metrics of every epoch for TensorBoard; leaving its context closes the file.

    Args:
        directory: The run's folder.

    Raises:
        UsageError: TensorBoard isn't installed.
    """

    def __init__(self, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            text = "--tensorboard needs TensorBoard: pip install 'musicrnn[tensorboard]'"
            raise UsageError(text) from error
        self._directory = directory / "tensorboard"
        self._make_writer = SummaryWriter
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            with written(self._directory):
                self._writer.close()

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Open a file and write the completed epochs, with times as if there had been no interruption."""
        with written(self._directory):
            self._writer = self._make_writer(self._directory, purge_step=1)
        now = time.time()
        for metrics in done:
            self._write(metrics, now - (done[-1].seconds - metrics.seconds))

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Write an epoch."""
        self._write(metrics, time.time())

    def _write(self, metrics: Epoch, moment: float) -> None:
        assert self._writer is not None
        with written(self._directory):
            for name, tag in TAGS.items():
                self._writer.add_scalar(tag, getattr(metrics, name), metrics.epoch, moment)
            self._writer.flush()
