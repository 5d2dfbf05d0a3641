"""The likelihood of one piece."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PieceLikelihood:
    """One piece: its name, the frames that were counted, and its nats per frame."""

    name: str
    frames: int
    nll_per_frame: float

    @property
    def nats(self) -> float:
        """Nats of all its frames."""
        return self.frames * self.nll_per_frame
