"""Dynamic evaluation: the network goes on learning from the piece that it is being scored on.

Every piece begins with the trained weights w0. It is scored segment by segment, the state carried along; only
when a segment has been scored is a step taken on it, so no frame helps to predict itself or one before it:

    w <- w - s g / (m + e)  +  min(1, decay m / mean(m)) (w0 - w)

g is the gradient of the segment's nats, m the root of the mean square that g has on segments of the training
pieces, weight by weight; e, a share of mean(m), keeps weights still that training hardly ever moves. The
paper sets s itself; but what a step does grows with the number of weights, so here s follows from ``rate``,
the nats per frame that a step would win on a usual segment if the loss were straight:
s sum(m^2 / (m + e)) = rate N for segments of N frames. A step that would win more, as after a surprise, is
shortened to that: what the straight line promises of it isn't there. What comes out is a likelihood like any
other, but not of the same model: it is reported apart.

References:
    Krause, Kahembwe, Murray and Renals 2018, "Dynamic evaluation of neural sequence models",
    arXiv:1709.07432, section 4.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicrnn.corpus import Corpus, Split
from musicrnn.errors import UsageError
from musicrnn.evaluation.bootstrap import Interval, bootstrap_interval
from musicrnn.evaluation.likelihood import Averages, average, check_fits, piece_likelihoods
from musicrnn.evaluation.piece import PieceLikelihood
from musicrnn.nn import MusicRNN

SEGMENTS = 1000
"""Training segments, from evenly spaced pieces, that the mean squares are gathered on."""

DAMPING = 0.1
"""e as a share of the mean of m."""


@dataclass(frozen=True)
class Adaptation:
    """How a network adapts.

    Attributes:
        rate: Nats per frame that a step would win on a usual segment if the loss were straight.
        decay: Share of the way back to the trained weights that is gone after every segment, on average.
        segment: Frames that are scored before each step.

    Raises:
        UsageError: A value is out of its range.
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
class DynamicEvaluation:
    """What an adapting model makes of a split; see ``Evaluation``.

    Attributes:
        adaptation: How it adapted.
        skip_first_frame: Whether the first frame of every piece was left out.
        pieces: Every piece, in the order of the corpus.
        frames: Frames counted.
        nll_per_frame: Nats per frame.
        first_included: NLL per frame with the first frame of every piece counted.
        first_skipped: NLL per frame without it; the model learns from it all the same.
        interval: Confidence interval of ``nll_per_frame``, or None where there are fewer than two pieces.
        seconds: Time it took.
    """

    adaptation: Adaptation
    skip_first_frame: bool
    pieces: list[PieceLikelihood]
    frames: int
    nll_per_frame: float
    first_included: Averages
    first_skipped: Averages
    interval: Interval | None
    seconds: float

    @property
    def averages(self) -> Averages:
        """NLL per frame under the convention that was asked for."""
        return self.first_skipped if self.skip_first_frame else self.first_included


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
    """Measure a model that adapts to each piece while it is scored; the model itself stays as it is.

    Args:
        model: The network.
        corpus: The corpus; its training pieces say how much each weight moves.
        split: ``train``, ``valid`` or ``test``.
        adaptation: How the network adapts.
        skip_first_frame: Leave the first frame of every piece out of sums and counts.
        device: A torch device.
        advance: Called with the number of pieces done.

    Raises:
        CorpusError: The corpus has no such split or no training pieces, or its frames are damaged.
        ModelError: The model was made for frames of another layout.
    """
    started, adaptation = time.monotonic(), adaptation or Adaptation()
    check_fits(model, corpus)
    pieces, train, skip = corpus[split], corpus["train"], int(skip_first_frame)
    nats, first_nats = np.zeros(len(pieces)), np.zeros(len(pieces))
    with model.fitting_threads(1, adaptation.segment):
        adapting = Adapting(model.to(device), train, adaptation)
        for index in range(len(pieces)):
            scored = adapting.score(pieces[index].frames)
            nats[index], first_nats[index] = scored.sum(), scored[0]
            if advance is not None:
                advance(index + 1)
    counted, own = pieces.lengths - skip, nats - skip * first_nats
    averages = average(nats, pieces.lengths), average(nats - first_nats, pieces.lengths - 1)
    return DynamicEvaluation(
        adaptation=adaptation,
        skip_first_frame=skip_first_frame,
        pieces=piece_likelihoods(pieces, own, counted),
        frames=int(counted.sum()),
        nll_per_frame=averages[skip].pooled,
        first_included=averages[0],
        first_skipped=averages[1],
        interval=bootstrap_interval(own, counted),
        seconds=time.monotonic() - started,
    )


class _Segment(NamedTuple):
    """Nats of the frames of a segment, shape (N,), and their gradient by all weights, shape (W,)."""

    nats: Tensor
    gradient: Tensor


class Adapting:
    """A network that adapts to pieces, each time from its trained weights.

    Args:
        model: The network; a copy of it adapts.
        train: Pieces that say how much each weight moves.
        adaptation: How it adapts.
    """

    def __init__(self, model: MusicRNN, train: Split, adaptation: Adaptation) -> None:
        self._model = copy.deepcopy(model).eval()
        self._parameters = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._trained = torch.cat([parameter.detach().reshape(-1) for parameter in self._parameters])
        self._weights = self._trained.clone()
        start = 0
        for parameter in self._parameters:  # a view of one vector that is moved as a whole
            parameter.data = self._weights[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        self._segment = adaptation.segment
        usual = self._usual_gradients(train)
        mean = usual.mean().clamp(min=torch.finfo(usual.dtype).tiny)
        damped = usual + DAMPING * mean
        won = (usual.square() / damped).sum().clamp(min=torch.finfo(usual.dtype).tiny)
        self._step = adaptation.rate * adaptation.segment / won / damped
        self._most = adaptation.rate * adaptation.segment
        self._back = (adaptation.decay * usual / mean).clamp(max=1)

    def score(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the nats of the frames of a piece (T, D), shape (T,); each is scored, then learned from."""
        self._weights.copy_(self._trained)
        scored = []
        for nats, gradient in self._segments(frames):
            scored.append(nats)
            step = self._step * gradient
            promised = float(step @ gradient)
            share = min(1.0, self._most / promised) if promised > 0 else float(promised == 0)
            self._weights -= share * step + self._back * (self._weights - self._trained)
        return torch.cat(scored).double().cpu().numpy()

    def _segments(self, frames: NDArray[np.uint8]) -> Iterator[_Segment]:
        """Yield segment after segment of a piece; the weights may change between them."""
        true = torch.from_numpy(frames).to(self._trained)[None]
        heard = torch.cat([torch.zeros_like(true[:, :1]), true[:, :-1]], dim=1)
        state: Any = None
        for start in range(0, true.shape[1], self._segment):
            part = slice(start, start + self._segment)
            with torch.enable_grad():
                nats, _, state = self._model.score(true[:, part], None, heard[:, part], state)
                gradients = torch.autograd.grad(nats.sum(), self._parameters, allow_unused=True)
            state = _detached(state)
            whole = [
                (torch.zeros_like(parameter) if gradient is None else gradient).reshape(-1)
                for parameter, gradient in zip(self._parameters, gradients, strict=True)
            ]
            yield _Segment(nats.detach()[0], torch.cat(whole))

    def _usual_gradients(self, train: Split) -> Tensor:
        """Return the root mean square of the gradient on training segments, shape (W,)."""
        squares, count = torch.zeros_like(self._trained), 0
        every = max(1, int((-(-train.lengths // self._segment)).sum()) // SEGMENTS)
        for index in range(0, len(train), every):
            for segment in self._segments(train[index].frames):
                squares += segment.gradient.square()
                count += 1
            if count >= SEGMENTS:
                break
        return (squares / count).sqrt()


def _detached(state: Any) -> Any:
    """Return a state, whatever it holds, without the way it came about."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*map(_detached, state))
    if isinstance(state, list | tuple):
        return type(state)(map(_detached, state))
    return state
