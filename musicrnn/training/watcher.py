"""Who is told how a training goes on."""

from __future__ import annotations

from typing import Protocol

from musicrnn.checkpoint import Epoch
from musicrnn.nn import MusicRNN


class Watcher(Protocol):
    """Is told how a training goes on; what it raises ends the training, which can be resumed."""

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Training starts.

        Args:
            model: The network.
            frames: Training frames of an epoch.
            done: The epochs that are done, if the training is resumed.
            batches: Batches of the next epoch that are done, too.
        """

    def advance(self, frames: int) -> None:
        """So many more frames of the epoch have been trained on."""

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """An epoch ended and is saved; ``best`` says that its validation NLL is the lowest so far."""

    def warn(self, text: str) -> None:
        """Something went wrong that doesn't end the training."""


class Silent:
    """A watcher that says nothing; others may inherit what they don't care for."""

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Say nothing."""

    def advance(self, frames: int) -> None:
        """Say nothing."""

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


class Watchers:
    """Several watchers as one.

    Args:
        watchers: Who is told, in this order.
    """

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.begin(model, frames, done, batches)

    def advance(self, frames: int) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.advance(frames)

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.epoch(metrics, best)

    def warn(self, text: str) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.warn(text)
