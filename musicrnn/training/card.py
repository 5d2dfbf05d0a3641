"""The model card, written beside the weights at the end of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from musicrnn.corpus import Corpus
from musicrnn.files import write_bytes
from musicrnn.nn import MusicRNN
from musicrnn.training.recipe import Recipe

_ONLY = {"peepholes": "lstm", "context": "scrn", "alpha": "scrn", "learn_alpha": "scrn"}
"""Settings that apply to one cell only."""


def model_card(
    directory: Path,
    model: MusicRNN,
    corpus: Corpus,
    recipe: Recipe,
    best_epoch: int,
    nlls: Mapping[str, float],
) -> None:
    """Write ``README.md`` into a run's folder: the model, its training data, its likelihood and its use.

    Args:
        directory: The run's folder.
        model: The trained network.
        corpus: The training corpus.
        recipe: How it was trained.
        best_epoch: Number of the epoch whose weights were kept, from 1.
        nlls: Nats per frame of each split.

    Raises:
        FileError: The file can't be written.
    """
    layout, layers = corpus.layout, recipe.network.recurrent
    pieces = ", ".join(f"{len(split)} {name}" for name, split in corpus.items())
    rows = "\n".join(f"| {split} | {nll:.3f} |" for split, nll in nlls.items())
    values = {**recipe.to_dict(), "learning_rate": recipe.initial_rate}
    settings = "\n".join(
        f"| {name} | {value} |"
        for name, value in values.items()
        if _ONLY.get(name, layers.cell) == layers.cell
    )
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
