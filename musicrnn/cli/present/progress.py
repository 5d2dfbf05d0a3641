"""How a training is shown on stderr."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from musicrnn.cli import console
from musicrnn.training.callbacks import Callback

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from musicrnn.checkpoint import Epoch
    from musicrnn.nn import MusicRNN
    from musicrnn.training import Recipe


class Progress(Callback):
    """Shows how a training advances: a bar on a terminal, else a line per epoch.

    Args:
        recipe: What is trained.
        directory: Where it goes.
    """

    def __init__(self, recipe: Recipe, directory: Path) -> None:
        self._recipe = recipe
        self._directory = directory
        self._stack = ExitStack()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._best = float("inf")
        self._begun, self._frames, self._advanced = 0.0, 1, 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Say what is trained."""
        recipe = self._recipe
        network = f"{recipe.network} ({model.parameter_count:,} parameters)"
        within = f" and {batches} batches" if batches else ""
        resumed = f", resumed after epoch {len(done)}{within}" if done or batches else ""
        console.note(f"training {network} on {frames:,} frames -> {self._directory}{resumed}")
        self._best = min((epoch.valid_nll for epoch in done), default=self._best)
        self._begun, self._frames = time.monotonic(), frames
        if console.shows_progress():
            columns = ("epoch {task.fields[epoch]}", "{task.fields[nll]}", "{task.fields[speed]}")
            self._bar = self._stack.enter_context(console.progress_bar(*columns))
            total = recipe.epochs * frames
            completed = len(done) * frames
            self._task = self._bar.add_task(
                "", total=total, completed=completed, epoch=len(done) + 1, nll="", speed=""
            )

    def advance(self, frames: int) -> None:
        """Move the bar."""
        self._advanced += frames
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, frames)

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Show the figures of an epoch."""
        self._best = metrics.valid_nll if best else self._best
        nll = f"train {metrics.train_nll:.3f} valid {metrics.valid_nll:.3f} best {self._best:.3f}"
        speed = f"{metrics.frames_per_second:,.0f} frames/s"
        if self._bar is not None and self._task is not None:
            following = min(metrics.epoch + 1, self._recipe.epochs)
            self._bar.update(self._task, epoch=following, nll=nll, speed=speed)
            return
        epochs = self._recipe.epochs - metrics.epoch
        spent = time.monotonic() - self._begun
        left = spent / max(1, self._advanced) * self._frames * epochs
        console.note(
            f"epoch {metrics.epoch:3d}  {nll}{' *' if best else '  '}  {speed}  "
            f"at most {int(left) // 60}:{int(left) % 60:02d} left"
        )

    def warn(self, text: str) -> None:
        """Say what went wrong."""
        console.note(f"warning: {text}")
