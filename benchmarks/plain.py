"""What one would write with torch alone: ``torch.nn.GRU``, a linear layer, and the usual loop around them.

It uses nothing of musicrnn but the reading of the corpus. By default it trains and validates on one piece at
a time, as most such scripts do; ``--batch-size`` batches pieces of similar length. The first frame of a piece
is predicted from zeros, and the validation NLL is measured after every epoch.

    python benchmarks/plain.py CORPUS --hidden 46 --until 8.60

The default learning rate reaches 8.60 on JSB Chorales soonest: four seeds took 22 to 35 epochs at 0.003, and
27 to 32 at 0.002; 0.001 takes more; 0.005 takes 24 to 29 or never reaches it; 0.01 never does.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence

from musicrnn.corpus import Corpus, open_corpus

LEARNING_RATE = 3e-3
"""Best for one piece at a time."""


class PlainGRU(nn.Module):
    """A GRU that assigns a probability to each next frame.

    Args:
        width: Cells of a frame, D.
        hidden: Hidden units, H.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, hidden, batch_first=True)
        self.output = nn.Linear(hidden, width)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return the negative log-likelihood per frame.

        Args:
            frames: Binary frames, shape (B, T, D).
            mask: One on real frames, zero on padding, shape (B, T).
        """
        inputs = functional.pad(frames[:, :-1], (0, 0, 1, 0))
        hidden, _ = self.gru(inputs)
        nats = functional.binary_cross_entropy_with_logits(self.output(hidden), frames, reduction="none")
        return (nats.sum(2) * mask).sum() / mask.sum()


@contextmanager
def noise_on(weights: Sequence[Tensor], deviation: float) -> Iterator[None]:
    """Add noise to weights, and remove it afterwards."""
    if deviation == 0:
        yield
        return
    noises = [deviation * torch.randn_like(weight) for weight in weights]
    with torch.no_grad():
        for weight, noise in zip(weights, noises, strict=True):
            weight.add_(noise)
    yield
    with torch.no_grad():
        for weight, noise in zip(weights, noises, strict=True):
            weight.sub_(noise)


def rolls(corpus: Corpus, split: str) -> list[Tensor]:
    """Return the pieces of a split, float tensors of shape (T, D)."""
    return [torch.from_numpy(roll.frames).float() for roll in corpus[split]]


def batch_by_length(pieces: Sequence[Tensor], size: int) -> list[list[int]]:
    """Batch pieces of similar length; return the positions of the pieces of every batch."""
    order = sorted(range(len(pieces)), key=lambda index: len(pieces[index]))
    return [order[start : start + size] for start in range(0, len(order), size)]


def padded(pieces: Sequence[Tensor], batch: Iterable[int]) -> tuple[Tensor, Tensor]:
    """Stack padded pieces; return frames, shape (B, T, D), and mask, shape (B, T)."""
    chosen = [pieces[index] for index in batch]
    mask = pad_sequence([torch.ones(len(piece)) for piece in chosen], batch_first=True)
    return pad_sequence(chosen, batch_first=True), mask


def train(
    model: PlainGRU,
    optimizer: torch.optim.Optimizer,
    pieces: Sequence[Tensor],
    batches: Iterable[Iterable[int]],
    weight_noise: float = 0.0,
    clip_norm: float = 1.0,
) -> float:
    """Train on batches of pieces; return nats per frame.

    Args:
        model: The network.
        optimizer: Optimizer of its parameters.
        pieces: Frames of every piece, shape (T, D).
        batches: The positions of the pieces of every batch.
        weight_noise: Standard deviation of the noise on the GRU's matrices, sampled once per batch.
        clip_norm: Longer gradients are scaled down to this norm.
    """
    model.train()
    matrices = [model.gru.weight_ih_l0, model.gru.weight_hh_l0]
    nats = frames_seen = 0.0
    for batch in batches:
        frames, mask = padded(pieces, batch)
        optimizer.zero_grad()
        with noise_on(matrices, weight_noise):
            loss = model(frames, mask)
            loss.backward()
        clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        real = float(mask.sum())
        nats, frames_seen = nats + loss.item() * real, frames_seen + real
    return nats / frames_seen


@torch.no_grad()
def mean_nll(model: PlainGRU, pieces: Sequence[Tensor], batches: Iterable[Iterable[int]]) -> float:
    """Return nats per frame of pieces."""
    model.eval()
    nats = frames_seen = 0.0
    for batch in batches:
        frames, mask = padded(pieces, batch)
        real = float(mask.sum())
        nats, frames_seen = nats + model(frames, mask).item() * real, frames_seen + real
    return nats / frames_seen


def run(options: argparse.Namespace) -> dict[str, float]:
    """Train until the target NLL or the last epoch; return the figures."""
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    corpus = open_corpus(options.corpus)
    pieces, held_out = rolls(corpus, "train"), rolls(corpus, "valid")
    batches = batch_by_length(pieces, options.batch_size)
    held_out_batches = batch_by_length(held_out, options.batch_size)
    model = PlainGRU(corpus.layout.width, options.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    started, training, best, epochs = time.perf_counter(), 0.0, float("inf"), 0
    while epochs < options.epochs and (options.until is None or best > options.until):
        epochs, epoch_started = epochs + 1, time.perf_counter()
        rng.shuffle(batches)
        train(model, optimizer, pieces, batches, options.weight_noise, options.clip_norm)
        training += time.perf_counter() - epoch_started
        best = min(best, mean_nll(model, held_out, held_out_batches))
    return {
        "epochs": epochs,
        "seconds": round(time.perf_counter() - started, 3),
        "valid_nll": best,
        "frames_per_second": round(epochs * sum(map(len, pieces)) / training, 1),
    }


def main(words: list[str] | None = None) -> int:
    """Train and print the figures as JSON; return 1 if the target NLL wasn't reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="a prepared corpus")
    parser.add_argument("--hidden", type=int, default=46)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--weight-noise", type=float, default=0.0)
    parser.add_argument("--clip-norm", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=100, help="at most")
    parser.add_argument("--until", type=float, help="stop at this validation NLL")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    figures = run(options)
    print(json.dumps(figures))
    return 0 if options.until is None or figures["valid_nll"] <= options.until else 1


if __name__ == "__main__":
    sys.exit(main())
