"""Ensembles: the marginal probabilities of several networks averaged cell by cell, as independent sigmoids.

All members get the same inputs, so an ensemble is as causal as they are. It isn't a single model, and its
figure should be reported separately.

    python benchmarks/ensemble.py CORPUS MODEL MODEL… [--split test]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from musicrnn.checkpoint import load_model
from musicrnn.cli.options import chosen_corpus
from musicrnn.corpus import Split, open_corpus
from musicrnn.corpus.batches import evaluation_batches
from musicrnn.evaluation.likelihood import check_fits
from musicrnn.nn import MusicRNN
from musicrnn.nn.heads import marginals_of


def ensemble_nll(models: Sequence[MusicRNN], split: Split) -> float:
    """Return the negative log-likelihood of averaged probabilities, nats per frame."""
    nats = 0.0
    with torch.no_grad():
        for batch in evaluation_batches(split):
            frames, mask = torch.from_numpy(batch.frames), torch.from_numpy(batch.mask)
            mean = torch.zeros_like(frames, dtype=torch.float64)
            for model in models:
                mean += _marginals(model, torch.from_numpy(batch.inputs)) / len(models)
            nats -= _log_likelihood(mean, frames)[mask].sum().item()
    return nats / split.frames


def _marginals(model: MusicRNN, inputs: Tensor) -> Tensor:
    """Return the probability of a one in every cell, float64, shape (B, T, D), from inputs of that shape."""
    parts = []
    for _, features, _ in model.chunks(inputs):
        distribution = model.head(features._replace(log_odds=features.log_odds.double()))
        parts.append(marginals_of(distribution, (*features.hidden.shape[:2], model.head.noise_size)))
    return torch.cat(parts, dim=1)


def _log_likelihood(probabilities: Tensor, frames: Tensor) -> Tensor:
    """Return log p of frames (B, T, D) of independent cells, shape (B, T)."""
    least = torch.finfo(torch.float64).tiny
    return torch.where(frames > 0, probabilities, 1 - probabilities).clamp_min(least).log().sum(2)


def main() -> None:
    """Print the figure of every member, and that of the ensemble."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", type=Path, help="a corpus, or the name of a published data set")
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    corpus = open_corpus(chosen_corpus(options.corpus))
    models = [load_model(path) for path in options.models]
    for path, model in zip(options.models, models, strict=True):
        check_fits(model, corpus)
        print(f"{ensemble_nll([model], corpus[options.split]):.4f}  {path}", flush=True)
    print(f"{ensemble_nll(models, corpus[options.split]):.4f}  all {len(models)} together")


if __name__ == "__main__":
    main()
