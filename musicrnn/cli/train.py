"""``musicrnn train``: corpus -> model."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS, RUNS, Device, Json, Quiet, Verbose, chosen_device, finished_runs
from musicrnn.errors import ModelError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from musicrnn.corpus import Corpus
    from musicrnn.nn import MusicRNN
    from musicrnn.training import Epoch, Recipe

_EXTENDABLE = ("epochs", "patience")
"""Settings that a resumed run may change."""


def _flag(text: str, *names: str) -> Any:
    """Return an option whose default comes from the recipe."""
    return typer.Option(*names, help=text, show_default=False)


def train(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A prepared corpus.")] = CORPUS,
    output: Annotated[
        Path | None, _flag("The run. [default: models/runs/CORPUS-CELL, numbered if taken]", "--output", "-o")
    ] = None,
    cell: Annotated[str | None, _flag("Recurrent unit; see below. [default: gru]")] = None,
    hidden: Annotated[int | None, _flag("Hidden units of each layer. [default: 128]")] = None,
    layers: Annotated[int | None, _flag("Recurrent layers. [default: 1]")] = None,
    peepholes: Annotated[bool | None, _flag("Peephole connections (lstm; Graves 2013).")] = None,
    context: Annotated[int | None, _flag("Context units of each layer (scrn). [default: a quarter]")] = None,
    alpha: Annotated[
        float | None, _flag("Share of the context that stays from frame to frame (scrn). [default: 0.95]")
    ] = None,
    learn_alpha: Annotated[bool | None, _flag("Learn alpha, unit by unit (scrn).")] = None,
    head: Annotated[str | None, _flag("Output distribution. [default: bernoulli]")] = None,
    optimizer: Annotated[str | None, _flag("adam or rmsprop. [default: adam]")] = None,
    learning_rate: Annotated[
        float | None, _flag("Step size. [default: 0.01 for adam, 0.001 for rmsprop]")
    ] = None,
    schedule: Annotated[
        str | None, _flag("plateau (halve where validation stops improving) or constant. [default: plateau]")
    ] = None,
    batch_size: Annotated[int | None, _flag("Pieces in a batch. [default: 16]")] = None,
    epochs: Annotated[int | None, _flag("Epochs at most. [default: 40]")] = None,
    patience: Annotated[
        int | None, _flag("Stop after so many epochs without improvement. [default: 10]")
    ] = None,
    dropout: Annotated[float | None, _flag("Dropout on every layer's output. [default: 0.0]")] = None,
    input_noise: Annotated[
        float | None,
        _flag("Probability that a cell heard in training is flipped; steadies samples. [default: 0.02]"),
    ] = None,
    weight_noise: Annotated[
        float | None, _flag("Standard deviation of noise on the recurrent weights. [default: 0.03]")
    ] = None,
    clip_norm: Annotated[float | None, _flag("Largest gradient norm; 0 means any. [default: 1.0]")] = None,
    seed: Annotated[int | None, _flag("Seeds weights, order, dropout and noise. [default: 0]")] = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is there.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    init_from: Annotated[Path | None, _flag("A model whose weights to start from.")] = None,
    config: Annotated[
        Path | None, _flag("Settings from a TOML file or a run's config.json; flags win.")
    ] = None,
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
    given = {
        name: value
        for name, value in {
            "cell": cell,
            "hidden": hidden,
            "layers": layers,
            "peepholes": peepholes,
            "context": context,
            "alpha": alpha,
            "learn_alpha": learn_alpha,
            "head": head,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "batch_size": batch_size,
            "epochs": epochs,
            "patience": patience,
            "dropout": dropout,
            "input_noise": input_noise,
            "weight_noise": weight_noise,
            "clip_norm": clip_norm,
            "seed": seed,
        }.items()
        if value is not None
    }
    console.set_level(quiet, verbose)
    if resume and overwrite:
        raise UsageError("--resume, --overwrite: expected one of them, found both")
    from musicrnn import training
    from musicrnn.checkpoint import load_model
    from musicrnn.corpus import open_corpus

    settings = {**(training.read_settings(config) if config else {}), **given}
    recipe = training.Recipe(**settings)
    opened = open_corpus(corpus)
    directory = output or _free_directory(f"{opened.name}-{recipe.cell}", resume)
    recipe = _checked(directory, opened, recipe, settings, resume, overwrite)
    try:
        with Progress(recipe, directory) as watcher:
            trained = training.train(
                opened,
                recipe,
                directory,
                device=chosen_device(device),
                init_from=load_model(init_from) if init_from else None,
                overwrite=overwrite,
                watcher=watcher,
            )
    except KeyboardInterrupt:
        if (directory / training.STATE).exists():
            console.note(
                f"all whole epochs are kept; go on with: musicrnn train {corpus} -o {directory} --resume"
            )
        raise
    document = {
        "model": str(directory),
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
    }
    if json:
        console.result_json(document)
        return
    console.result(
        f"{directory}: {recipe.cell} {recipe.hidden}, {trained.model.parameter_count:,} parameters, "
        f"best epoch {trained.best_epoch} of {len(trained.history)}, {trained.seconds:.0f} s"
    )
    nlls = {"train": trained.train_nll, "valid": trained.valid_nll, "test": trained.test_nll}
    parts = [f"{split} {nll:.3f}" for split, nll in nlls.items() if nll is not None]
    console.result("NLL per frame: " + ", ".join(parts))


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
    from musicrnn.training import STATE, Recipe, read_settings

    if not directory.is_dir() or not any(directory.iterdir()):
        return recipe
    if not (directory / "config.json").exists():
        raise ModelError(f"{directory}: expected a run or an empty folder to write to, found other files")
    if overwrite:
        return recipe
    if not resume:
        raise ModelError(f"{directory}: found a run, expected a new folder, --resume or --overwrite")
    if not (directory / STATE).exists():
        if (directory / "model.safetensors").exists():
            raise ModelError(f"{directory / STATE}: expected the state to resume from, found nothing")
        return recipe
    facts = read_config(directory).get("data", {}), corpus.facts()
    then, now = ({**data, "directory": ""} for data in facts)
    if then != now:
        raise UsageError(f"{directory}: can't resume with {corpus.directory}: expected {then}, found {now}")
    own = Recipe(**read_settings(directory / "config.json"))
    for name, value in given.items():
        was = getattr(own, name)
        if name not in _EXTENDABLE and was != value:
            raise UsageError(f"{directory}: can't resume with {name} {value}: the run was started with {was}")
    return replace(own, **{name: given[name] for name in _EXTENDABLE if name in given})


class Progress:
    """Shows a training on stderr: a bar on a terminal, else a line per epoch."""

    def __init__(self, recipe: Recipe, directory: Path) -> None:
        self._recipe = recipe
        self._directory = directory
        self._stack = ExitStack()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._best = float("inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def begin(self, model: MusicRNN, frames: int, done: list[Epoch]) -> None:
        """Say what is trained."""
        recipe = self._recipe
        network = f"{recipe.cell} {recipe.hidden} ({model.parameter_count:,} parameters)"
        resumed = f", resumed after epoch {len(done)}" if done else ""
        console.note(f"training {network} on {frames:,} frames -> {self._directory}{resumed}")
        self._best = min((epoch.valid_nll for epoch in done), default=self._best)
        if console.shows_progress():
            columns = ("epoch {task.fields[epoch]}", "{task.fields[nll]}", "{task.fields[speed]}")
            self._bar = self._stack.enter_context(console.progress_bar(*columns))
            total = recipe.epochs * frames
            completed = len(done) * frames
            self._task = self._bar.add_task(
                "", total=total, completed=completed, epoch=len(done) + 1, nll="", speed=""
            )

    def advance(self, frames: int) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, frames)

    def epoch(self, metrics: Epoch, best: bool) -> None:
        """Show the figures of an epoch."""
        self._best = metrics.valid_nll if best else self._best
        nll = f"train {metrics.train_nll:.3f} valid {metrics.valid_nll:.3f} best {self._best:.3f}"
        speed = f"{metrics.frames_per_second:,.0f} frames/s"
        if self._bar is not None and self._task is not None:
            following = min(metrics.epoch + 1, self._recipe.epochs)
            self._bar.update(self._task, epoch=following, nll=nll, speed=speed)
            return
        left = metrics.seconds / metrics.epoch * (self._recipe.epochs - metrics.epoch)
        console.note(
            f"epoch {metrics.epoch:3d}  {nll}{' *' if best else '  '}  {speed}  "
            f"at most {int(left) // 60}:{int(left) % 60:02d} left"
        )
