"""How the progress of a training is shown on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from musicrnn.cli import console
from musicrnn.training.callbacks import Callback

if TYPE_CHECKING:
    from musicrnn.checkpoint import Epoch
    from musicrnn.nn import MusicRNN
    from musicrnn.training import Recipe


class TrainingProgress(Callback):
    """Shows a bar on a terminal, else prints a line per epoch.

    Args:
        recipe: The recipe.
        directory: The run's folder.
        stack: Closes the bar.
    """

    def __init__(self, recipe: Recipe, directory: Path, stack: ExitStack) -> None:
        self._recipe, self._directory, self._stack = recipe, directory, stack
        self._move: Callable[..., None]
        self._best = float("inf")
        self._started, self._frames, self._before, self._advanced = 0.0, 1, 0, 0

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Print what is trained."""
        recipe = self._recipe
        network = f"{recipe.network} ({model.parameter_count:,} parameters)"
        within = f" and {batches} batches" if batches else ""
        resumed = f", resumed after epoch {len(done)}{within}" if done or batches else ""
        console.note(f"training {network} on {frames:,} frames -> {self._directory}{resumed}")
        self._best = min((epoch.valid_nll for epoch in done), default=self._best)
        self._started, self._frames, self._before = time.monotonic(), frames, len(done) * frames
        bar = console.progress(f"epoch {len(done) + 1}", recipe.epochs * frames, "", self._before)
        self._move = self._stack.enter_context(bar)

    def advance(self, frames: int) -> None:
        """Move the bar."""
        self._advanced += frames
        self._move(self._before + self._advanced)

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Show the metrics of an epoch."""
        self._best = metrics.valid_nll if best else self._best
        nll = f"train {metrics.train_nll:.3f} valid {metrics.valid_nll:.3f} best {self._best:.3f}"
        speed = f"{metrics.frames_per_second:,.0f} frames/s"
        if console.shows_progress():
            following = min(metrics.epoch + 1, self._recipe.epochs)
            self._move(self._before + self._advanced, label=f"epoch {following} {nll} {speed}")
            return
        spent = time.monotonic() - self._started
        left = int(spent / max(1, self._advanced) * self._frames * (self._recipe.epochs - metrics.epoch))
        console.note(
            f"epoch {metrics.epoch:3d}  {nll}{' *' if best else '  '}  {speed}  "
            f"at most {left // 60}:{left % 60:02d} left"
        )

    def warn(self, text: str) -> None:
        """Print a warning."""
        console.note(f"warning: {text}")
