"""The files written at the end of a training: the learning curves, and the model card beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from musicrnn.corpus import Corpus
from musicrnn.files import write_bytes
from musicrnn.nn import MusicRNN
from musicrnn.training.recipe import Recipe
from musicrnn.training.run import Trained

_ONLY = {"peepholes": "lstm", "context": "scrn", "alpha": "scrn", "learn_alpha": "scrn"}
"""Settings that apply to one cell only."""


def write_results(done: Trained, corpus: Corpus, recipe: Recipe, plot: Callable[..., None]) -> None:
    """Write the learning curves and, last, the model card.

    Args:
        done: The outcome of the training.
        corpus: The training corpus.
        recipe: The recipe.
        plot: Plots the curves, called as ``plot_curves``.

    Raises:
        FileError: A file can't be written.
    """
    curves = {
        "train": [epoch.train_nll for epoch in done.history],
        "validation": [epoch.valid_nll for epoch in done.history],
    }
    plot(
        curves,
        done.directory / "curves.png",
        marks={f"best: epoch {done.best_epoch}": done.best_epoch - 1},
        title=f"{recipe.network} on {corpus.name}",
    )
    nlls = {"train": done.train_nll, "valid": done.valid_nll, "test": done.test_nll}
    model_card(done.directory, done.model, corpus, recipe, done.best_epoch, nlls)


def model_card(
    directory: Path,
    model: MusicRNN,
    corpus: Corpus,
    recipe: Recipe,
    best_epoch: int,
    nlls: Mapping[str, float | None],
) -> None:
    """Write ``README.md``: the model, its training data, its likelihood and its use.

    Args:
        directory: The run's folder.
        model: The trained network.
        corpus: The training corpus.
        recipe: The recipe.
        best_epoch: Number of the epoch whose weights were kept.
        nlls: Nats per frame by split; None for a split that the corpus doesn't have.

    Raises:
        FileError: The file can't be written.
    """
    layout, layers = corpus.layout, recipe.network.recurrent
    pieces = ", ".join(f"{len(split)} {name}" for name, split in corpus.items())
    rows = "\n".join(f"| {split} | {nll:.3f} |" for split, nll in nlls.items() if nll is not None)
    settings = "\n".join(f"| {name} | {value} |" for name, value in _settings(recipe).items())
    judges = "validation" if "valid" in corpus else "training"
    text = f"""# {directory.name}

A recurrent network with a {recipe.network.head} output, trained by musicrnn on the corpus `{corpus.name}`:
{layers.cell}, {layers.layers} x {layers.hidden} units, {model.parameter_count:,} parameters.

It reads a piano roll frame by frame and assigns a probability to each next frame.
Frames: {layout}.

## Likelihood

Nats per frame, summed over the {layout.width} cells and averaged over all frames, the first included;
lower is better.

| split | NLL per frame |
|---|---|
{rows}

![Learning curves](curves.png)

## Use

```
musicrnn sample {directory.as_posix()} -o out.mid
musicrnn evaluate {directory.as_posix()} {corpus.directory.as_posix()}
```

## Training

{corpus.frames:,} frames in {len(corpus.pieces)} pieces ({pieces}).
The weights are those of epoch {best_epoch}, the best on {judges} pieces.

| setting | value |
|---|---|
{settings}

## Limits

It was trained on `{corpus.name}` alone, and does not model loudness, instruments or tempo.
"""
    write_bytes(directory / "README.md", text.encode())


def _settings(recipe: Recipe) -> dict[str, object]:
    settings, cell = {**recipe.to_dict(), "learning_rate": recipe.initial_rate}, recipe.network.recurrent.cell
    return {name: value for name, value in settings.items() if _ONLY.get(name, cell) == cell}
