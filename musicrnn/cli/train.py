"""``musicrnn train``: corpus -> model."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.artist import Artist
from musicrnn.cli.options import (
    CORPUS,
    RUNS,
    Device,
    Json,
    Quiet,
    Verbose,
    chosen_corpus,
    chosen_device,
    finished_runs,
)
from musicrnn.cli.progress import Progress
from musicrnn.cli.settings import with_settings
from musicrnn.errors import ModelError, UsageError

if TYPE_CHECKING:
    from musicrnn.corpus import Corpus
    from musicrnn.training import Recipe, Trained

_EXTENDABLE = ("epochs", "patience", "until")
"""Settings that a resumed run may change; with a rate that falls until the last epoch, not their number."""


@with_settings()
def train(
    corpus: Annotated[
        Path | None,
        typer.Argument(
            metavar="CORPUS",
            help="A prepared corpus, or the name of a published one: jsb, nottingham, musedata, piano-midi. "
            f"[default: that of a run's --config, else {CORPUS}]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The run. [default: models/runs/CORPUS-CELL, or CORPUS-RECIPE, numbered if taken]",
            show_default=False,
        ),
    ] = None,
    *,
    settings: dict[str, Any],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Settings that ship with musicrnn: best, the best known for a published set; flags win.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings from a TOML file or a run's config.json; flags win.", show_default=False),
    ] = None,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(help="Processes on this machine that share every batch.", min=1)
    ] = 1,
    nodes: Annotated[
        int, typer.Option(help="Machines; each runs this command, with MASTER_ADDR and NODE_RANK.", min=1)
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is there.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    on_nan: Annotated[
        str,
        typer.Option(
            help="A loss that isn't finite: stop, or skip the batch and go on from the weights before, at "
            "half the learning rate."
        ),
    ] = "stop",
    save_minutes: Annotated[
        float, typer.Option(help="How often to save in the middle of an epoch.", min=0)
    ] = 10.0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write figures for TensorBoard into the run, too.")
    ] = False,
    range_test: Annotated[
        bool,
        typer.Option(
            "--range-test",
            help="No training: raise the learning rate from update to update, and show where it begins to "
            "help and to hurt (Smith 2017).",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a network on a corpus.

    Recurrent units: tanh (Elman 1990); lstm (Hochreiter and Schmidhuber 1997; --peepholes); gru, its reset
    gate before the product (Cho et al. 2014 v1, Chung et al. 2014); gru-reset-after, as torch.nn.GRU and
    cuDNN have it; gru-simplified, without a reset gate; irnn, rectified units that start as the identity
    (Le et al. 2015); scrn, slow context units beside fast ones (Mikolov et al. 2014).
    """
    console.set_level(quiet, verbose)
    if resume and overwrite:
        raise UsageError("--resume, --overwrite: expected one of them, found both")
    from musicrnn import training
    from musicrnn.corpus import open_corpus
    from musicrnn.training.distributed import is_first, launch, started_by_launcher

    path = chosen_corpus(corpus or _corpus_of(config) or CORPUS)
    if devices * nodes > 1 and not started_by_launcher():
        raise typer.Exit(launch(sys.argv[1:], devices, nodes))
    if not is_first() and not verbose:
        console.leave_to_others()
    opened = open_corpus(path)
    given = {
        **(training.read_shipped(recipe, opened.name) if recipe else {}),
        **(training.read_settings(config) if config else {}),
        **settings,
    }
    chosen = training.Recipe(**{**_shape_of(given.get("init_from")), **given})
    if range_test:
        _range_test(opened, chosen, output, chosen_device(device), json)
        return
    with ExitStack() as stack:
        # Before torch is imported, which takes as long.
        artist = stack.enter_context(Artist()) if is_first() else None
        world, place = stack.enter_context(training.joined(chosen_device(device)))
        name = f"{opened.name}-{recipe or chosen.cell}"
        directory = world.shared(lambda: output or _free_directory(name, resume))
        chosen = world.shared(lambda: _checked(directory, opened, chosen, given, resume, overwrite))
        how: dict[str, Any] = {"device": place, "overwrite": overwrite, "on_nan": on_nan, "world": world}
        if artist is None:
            _follow(opened, chosen, directory, how)
            return
        watcher: Any = stack.enter_context(Progress(chosen, directory))
        if tensorboard:
            from musicrnn.training.tensorboard import TensorBoard

            watcher = training.Watchers(watcher, stack.enter_context(TensorBoard(directory)))
        how |= {"save_minutes": save_minutes, "watcher": watcher, "draw": artist.draw}
        try:
            trained = training.train(opened, chosen, directory, **how)
        except KeyboardInterrupt:
            if (directory / training.STATE).exists():
                console.note(f"saved; go on with: musicrnn train {path} -o {directory} --resume")
            raise
    _report(trained, chosen, json)


def _report(trained: Trained, recipe: Recipe, json: bool) -> None:
    """Print what came of a training."""
    if json:
        console.result_json(
            {
                "model": str(trained.directory),
                "cell": recipe.cell,
                "hidden": recipe.hidden,
                "parameters": trained.model.parameter_count,
                "epochs": len(trained.history),
                "best_epoch": trained.best_epoch,
                "train_nll": trained.train_nll,
                "valid_nll": trained.valid_nll,
                "test_nll": trained.test_nll,
                "seconds": round(trained.seconds, 3),
                "frames_per_second": round(trained.frames_per_second, 1),
                "padding": round(trained.padding, 4),
            }
        )
        return
    console.result(
        f"{trained.directory}: {recipe.cell} {recipe.hidden}, {trained.model.parameter_count:,} parameters, "
        f"best epoch {trained.best_epoch} of {len(trained.history)}, {trained.seconds:.0f} s, "
        f"{trained.padding:.1%} padding"
    )
    nlls = {"train": trained.train_nll, "valid": trained.valid_nll, "test": trained.test_nll}
    parts = [f"{split} {nll:.3f}" for split, nll in nlls.items() if nll is not None]
    console.result("NLL per frame: " + ", ".join(parts))


def _follow(corpus: Corpus, recipe: Recipe, directory: Path, how: dict[str, Any]) -> None:
    """Take part in a training that another process reports on."""
    from musicrnn import training

    # The other says what became of it.
    with suppress(KeyboardInterrupt):
        training.train(corpus, recipe, directory, **how)


def _range_test(corpus: Corpus, recipe: Recipe, output: Path | None, device: str, json: bool) -> None:
    """Find learning rates, and say which."""
    from musicrnn.training.range_test import range_test

    directory = output or RUNS / f"{corpus.name}-{recipe.cell}-range"
    found = range_test(corpus, recipe, directory, device=device)
    if json:
        console.result_json({"directory": str(directory), **found.__dict__})
        return
    console.result(
        f"{directory / 'range.png'}: the NLL fell fastest at a learning rate of {found.suggested:.2g}, "
        f"and was lowest at {found.lowest:.2g}"
    )


def _shape_of(model: str | None) -> dict[str, Any]:
    """Return the settings of a network to start from that a new one has unless told otherwise."""
    if model is None:
        return {}
    from musicrnn.checkpoint import read_config
    from musicrnn.training.recipe import SETTINGS

    network = read_config(Path(model)).get("network", {})
    return {name: value for name, value in network.items() if name in SETTINGS}


def _corpus_of(config: Path | None) -> Path | None:
    """Return the corpus that the run of a ``config.json`` was trained on."""
    from musicrnn.training.recipe import read_table

    data = read_table(config).get("data") if config is not None else None
    directory = data.get("directory") if isinstance(data, dict) else None
    return Path(directory) if isinstance(directory, str) else None


def _free_directory(name: str, resume: bool) -> Path:
    """Return the folder of a new run; with ``--resume`` that of the newest run of this name."""
    if resume:
        runs = [run for run in finished_runs(f"{name}*") if re.fullmatch(r"(-\d+)?", run.name[len(name) :])]
        return runs[-1] if runs else RUNS / name
    taken, number = RUNS / name, 2
    while taken.exists():
        taken, number = RUNS / f"{name}-{number}", number + 1
    return taken


def _checked(
    directory: Path, corpus: Corpus, recipe: Recipe, given: dict[str, Any], resume: bool, overwrite: bool
) -> Recipe:
    """Protect what is there; return the recipe to go on with, which for a resumed run is its own."""
    from musicrnn.checkpoint import read_config
    from musicrnn.corpus import corpus_identity
    from musicrnn.training import STATE, Recipe, read_settings
    from musicrnn.training.schedules import FALLING

    # Files that a killed program was about to write have hidden names.
    if not directory.is_dir() or all(path.name.startswith(".") for path in directory.iterdir()):
        return recipe
    if not (directory / "config.json").exists():
        raise ModelError(f"{directory}: expected a run or an empty folder to write to, found other files")
    if overwrite:
        return recipe
    if not resume:
        raise ModelError(f"{directory}: found a run, expected a new folder, --resume or --overwrite")
    metrics = directory / "metrics.jsonl"  # empty until the first state is saved
    if not (directory / STATE).exists() and metrics.exists() and metrics.stat().st_size:
        raise ModelError(f"{directory / STATE}: expected the state to resume from, found nothing")
    then, now = corpus_identity(read_config(directory).get("data", {})), corpus.identity()
    if then != now:
        raise UsageError(f"{directory}: can't resume with {corpus.directory}: expected {then}, found {now}")
    own = Recipe(**read_settings(directory / "config.json"))
    for name, value in given.items():
        was = getattr(own, name)
        falls = name == "epochs" and own.schedule in FALLING
        if (name not in _EXTENDABLE or falls) and was != value:
            raise UsageError(f"{directory}: can't resume with {name} {value}: the run was started with {was}")
    return replace(own, **{name: given[name] for name in _EXTENDABLE if name in given})
