"""Dynamic evaluation: the network is trained on each piece while it is scored on it.

Every piece starts with the trained weights w0. It is scored segment by segment, with the state carried over;
only after a segment has been scored are the weights updated on it, so no frame is used to predict itself or
an earlier one:

    w <- w - s g / (m + e)  +  min(1, decay m / mean(m)) (w0 - w)

g is the gradient of the segment's nats, and m, weight by weight, its root mean square over segments of the
training pieces; e, a share of mean(m), keeps steps small for weights with tiny gradients. The paper sets s;
here it follows from ``rate``, since the effect of a step grows with the number of weights: for segments of N
frames, s sum(m^2 / (m + e)) = rate N. A step that would lower the loss of its segment by more, to first
order, is scaled down. The result is a proper likelihood, but of another model: it is reported separately.

References:
    Krause, Kahembwe, Murray and Renals 2018, "Dynamic evaluation of neural sequence models",
    arXiv:1709.07432, section 4.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicrnn.corpus import Corpus, Split
from musicrnn.errors import UsageError
from musicrnn.evaluation.likelihood import SplitLikelihood, check_fits
from musicrnn.nn import MusicRNN
from musicrnn.nn.parameters import FlatParameters
from musicrnn.nn.state import NetworkState

SEGMENTS = 1000
"""Training segments, from evenly spaced pieces, for the mean squares."""

DAMPING = 0.1
"""e as a share of the mean of m."""


@dataclass(frozen=True)
class Adaptation:
    """How a network adapts.

    Attributes:
        rate: Nats per frame by which a step lowers the loss of an average segment, to first order.
        decay: Share of the distance to the trained weights that is undone after every segment, on average.
        segment: Frames scored before each step.

    Raises:
        UsageError: A value is out of range.
    """

    rate: float = 0.7
    decay: float = 0.0
    segment: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.rate < float("inf"):
            raise UsageError(f"the dynamic rate must be 0 or more, got {self.rate}")
        if not 0 <= self.decay <= 1:
            raise UsageError(f"the dynamic decay must be from 0 to 1, got {self.decay}")
        if self.segment < 1:
            raise UsageError(f"a dynamic segment must have at least 1 frame, got {self.segment}")


@dataclass(frozen=True)
class DynamicEvaluation(SplitLikelihood):
    """The likelihood of a split under an adapting model; skipped first frames are still trained on.

    Attributes:
        adaptation: How it adapted.
        seconds: Duration in seconds.
    """

    adaptation: Adaptation
    seconds: float


def evaluate_dynamically(
    model: MusicRNN,
    corpus: Corpus,
    split: str = "test",
    adaptation: Adaptation | None = None,
    *,
    skip_first_frame: bool = False,
    device: str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> DynamicEvaluation:
    """Measure a model that adapts to each piece while it is scored; the model itself isn't changed.

    Args:
        model: The network.
        corpus: The corpus; its training pieces give the scale of the gradients.
        split: ``train``, ``valid`` or ``test``.
        adaptation: How the network adapts.
        skip_first_frame: Leave the first frame of every piece out of sums and counts.
        device: A torch device.
        advance: Called with the number of pieces scored.

    Raises:
        CorpusError: The corpus has no such split or no training pieces, or its frames are damaged.
        ModelError: The model was made for frames of another layout.
    """
    started, adaptation = time.monotonic(), adaptation or Adaptation()
    check_fits(model, corpus)
    pieces, train = corpus[split], corpus["train"]
    nats, first_nats = np.zeros(len(pieces)), np.zeros(len(pieces))
    with model.fitting_threads(1, adaptation.segment):
        adapting = AdaptingModel(model.to(device), train, adaptation)
        for index in range(len(pieces)):
            scored = adapting.score(pieces[index].frames)
            nats[index], first_nats[index] = scored.sum(), scored[0]
            if advance is not None:
                advance(index + 1)
    return DynamicEvaluation(
        skip_first_frame=skip_first_frame,
        names=[piece.name for piece in pieces.pieces],
        piece_frames=pieces.lengths,
        piece_nats=nats,
        first_nats=first_nats,
        adaptation=adaptation,
        seconds=time.monotonic() - started,
    )


class AdaptingModel:
    """A copy of a network that adapts to pieces; the training pieces give the scale of its gradients."""

    def __init__(self, model: MusicRNN, train: Split, adaptation: Adaptation) -> None:
        self._model = copy.deepcopy(model).eval()
        self._weights = FlatParameters(self._model.parameters())
        self._trained = self._weights.values.clone()
        self._segment = adaptation.segment
        scale = self._gradient_scale(train)
        tiny = torch.finfo(scale.dtype).tiny
        mean = scale.mean().clamp(min=tiny)
        damped = scale + DAMPING * mean
        gain = (scale.square() / damped).sum().clamp(min=tiny)
        self._target_gain = adaptation.rate * adaptation.segment
        self._step_sizes = adaptation.rate * adaptation.segment / gain / damped
        self._decay = (adaptation.decay * scale / mean).clamp(max=1)

    def score(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the nats of the frames of a piece (T, D), shape (T,); each is scored, then trained on."""
        weights, scored = self._weights.values.copy_(self._trained), []
        for nats, gradient in self._segments(frames):
            scored.append(nats)
            step = self._step_sizes * gradient
            gain = float(step @ gradient)
            share = min(1.0, self._target_gain / gain) if gain > 0 else float(gain == 0)
            weights -= share * step + self._decay * (weights - self._trained)
        return torch.cat(scored).double().cpu().numpy()

    def _segments(self, frames: NDArray[np.uint8]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield nats, shape (N,), and gradient, shape (W,), of segment after segment of a piece."""
        targets = torch.from_numpy(frames).to(self._trained)[None]
        inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], dim=1)
        state: NetworkState | None = None
        for start in range(0, targets.shape[1], self._segment):
            part = slice(start, start + self._segment)
            self._weights.gradients.zero_()
            with torch.enable_grad():
                nats, state, _ = self._model.score(targets[:, part], None, inputs[:, part], state)
                torch.autograd.backward(nats.sum())
            state = state.detach()
            yield nats.detach()[0], self._weights.gradients

    def _gradient_scale(self, train: Split) -> Tensor:
        """Return the root mean square of the gradient on training segments, shape (W,)."""
        squares, count = torch.zeros_like(self._trained), 0
        every = max(1, int((-(-train.lengths // self._segment)).sum()) // SEGMENTS)
        for index in range(0, len(train), every):
            for _, gradient in self._segments(train[index].frames):
                squares += gradient.square()
                count += 1
            if count >= SEGMENTS:
                break
        return (squares / count).sqrt()
