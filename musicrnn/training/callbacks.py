"""Callbacks: code that runs at fixed points of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musicrnn.checkpoint import Epoch
    from musicrnn.nn import MusicRNN


class Callback:
    """Does nothing; subclasses override methods. An exception raised in one ends the training, resumably."""

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch], batches: int) -> None:
        """Called when training starts.

        Args:
            model: The network.
            frames: Training frames of an epoch.
            done: The finished epochs, if the training is resumed.
            batches: Finished batches of the next epoch.
        """

    def advance(self, frames: int) -> None:
        """Called after an update, with the number of frames that it trained on."""

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Called when an epoch has been saved; ``best``: its validation NLL is the lowest so far."""

    def warn(self, text: str) -> None:
        """Called with a problem that doesn't end the training."""
