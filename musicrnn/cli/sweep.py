"""``musicrnn sweep``: hyper-parameter search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS, Json, Quiet, Verbose
from musicrnn.errors import UsageError


def sweep(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A prepared corpus.")] = CORPUS,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The study. [default: models/sweeps/CORPUS-CELL]", show_default=False
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Trials in all, those done earlier counted.")] = 10,
    cell: Annotated[str, typer.Option(help="Recurrent unit: tanh, lstm, gru.")] = "gru",
    hidden: Annotated[int, typer.Option(help="Hidden units of each layer.")] = 46,
    weight_noise: Annotated[
        float, typer.Option(help="Standard deviation of noise on the recurrent weights.")
    ] = 0.075,
    epochs: Annotated[int, typer.Option(help="Epochs at most.")] = 40,
    learning_rates: Annotated[
        str, typer.Option(help="LOW:HIGH, drawn log-uniformly; the default suits adam.")
    ] = "0.0003:0.03",
    seed: Annotated[int, typer.Option(help="Seeds the draws and the trainings.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search for the best learning rate; every trial is a run of its own."""
    console.set_level(quiet, verbose)
    low, high = _bounds(learning_rates)
    from musicrnn.cli.train import Progress
    from musicrnn.corpus import open_corpus
    from musicrnn.experiments import sweep as search
    from musicrnn.training import Recipe

    opened = open_corpus(corpus)
    base = Recipe(cell=cell, hidden=hidden, weight_noise=weight_noise, epochs=epochs, seed=seed)
    directory = output or Path("models/sweeps") / f"{opened.name}-{cell}"
    found = search.sweep(opened, base, trials, directory, {"learning_rate": (low, high)}, Progress)
    if json:
        rows = [{"run": str(t.run), "valid_nll": t.valid_nll, **t.settings} for t in found]
        console.result_json({"study": str(directory), "trials": rows})
        return
    for trial in found:
        settings = ", ".join(f"{name} {value:.3g}" for name, value in trial.settings.items())
        console.result(f"{trial.valid_nll:8.3f}  {settings}  {trial.run}")
    console.note(f"repeat the best: musicrnn train {corpus} --config {found[0].run}/config.json")


def _bounds(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        bounds = float(low), float(high)
    except ValueError as error:
        raise UsageError(f"--learning-rates: expected LOW:HIGH, found {text!r}") from error
    if not 0 < bounds[0] <= bounds[1]:
        raise UsageError(f"--learning-rates: expected 0 < LOW <= HIGH, found {text}")
    return bounds
