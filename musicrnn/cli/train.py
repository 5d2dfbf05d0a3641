"""``musicrnn train``: corpus -> model."""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.flags import Settings, argument, flag, require
from musicrnn.cli.options import CORPUS, RUNS, chosen_corpus, chosen_device, device_flag
from musicrnn.cli.present.progress import TrainingProgress
from musicrnn.plots.process import PlotProcess

if TYPE_CHECKING:
    from musicrnn.corpus import Corpus
    from musicrnn.training import Recipe
    from musicrnn.training.callbacks import Callback
    from musicrnn.training.run import Trained

_CORPUS = (
    "A prepared corpus, or the name of a published one: jsb, nottingham, musedata, piano-midi. "
    f"[default: that of the run given with --config, else {CORPUS}]"
)


@dataclass(frozen=True)
class RunFlags:
    """Run."""

    output: Path | None = flag(
        None, "The folder. [default: models/runs/CORPUS-CELL or -RECIPE, numbered if taken]", "--output", "-o"
    )
    recipe: str | None = flag(None, "best: the best known settings for a data set. Flags override them.")
    config: Path | None = flag(None, "Settings: a TOML file or a run's config.json. Flags override them.")
    device: str = device_flag()
    devices: int = flag(1, "Processes on this machine that share every batch.", min=1)
    nodes: int = flag(1, "Machines; each runs this command, with MASTER_ADDR and NODE_RANK set.", min=1)
    resume: bool = flag(False, "Resume the run in the folder.")
    overwrite: bool = flag(False, "Replace the run in the folder.")
    on_nan: str = flag(
        "stop", "If the loss isn't finite: stop, or skip: restore the weights, halve the learning rate."
    )
    save_minutes: float = flag(10.0, "Minutes between saves within an epoch.", min=0)
    tensorboard: bool = flag(False, "Also write metrics for TensorBoard into the run's folder.")
    range_test: bool = flag(
        False, "Don't train: print at which learning rates the loss falls fastest and is lowest (Smith 2017)."
    )


def train(
    corpus: Annotated[Path | None, argument("CORPUS", _CORPUS)] = None, *, settings: Settings, run: RunFlags
) -> None:
    """Train a network on a corpus.

    Recurrent units: tanh (Elman 1990); lstm (Hochreiter and Schmidhuber 1997; --peepholes); gru, with the
    reset gate before the product (Cho et al. 2014 v3, Chung et al. 2014); gru-reset-after, with the reset
    gate after it, as in torch.nn.GRU and cuDNN (Cho et al. 2014 v1); gru-simplified, without a reset gate;
    irnn, rectified units that start as the identity (Le et al. 2015); scrn, slow context units beside fast
    ones (Mikolov et al. 2014).
    """
    require(not (run.resume and run.overwrite), "--resume, --overwrite", "one of them", "both")
    from musicrnn.corpus import open_corpus
    from musicrnn.training.distributed import is_main_process, launch, started_by_launcher
    from musicrnn.training.recipe import Recipe, read_corpus, read_settings, read_shipped

    path = chosen_corpus(corpus or (run.config and read_corpus(run.config)) or CORPUS)
    if run.devices * run.nodes > 1 and not started_by_launcher():
        raise typer.Exit(launch(sys.argv[1:], run.devices, run.nodes))
    if not is_main_process() and not console.is_verbose():
        console.silence()
    opened = open_corpus(path)
    given: dict[str, Any] = read_shipped(run.recipe, opened.name) if run.recipe else {}
    given |= {**(read_settings(run.config) if run.config else {}), **settings}
    shape: dict[str, Any] = {}
    if source := given.get("init_from"):
        from musicrnn.training.run import network_settings

        shape = network_settings(Path(source))
    recipe = Recipe.of(**{**shape, **given})
    if not run.range_test:
        _train(opened, recipe, given, run, f"musicrnn train {path}")
        return
    from musicrnn.training.range_test import range_test

    directory = run.output or RUNS / f"{opened.name}-{recipe.network.recurrent.cell}-range"
    found = range_test(opened, recipe, directory, device=chosen_device(run.device))
    line = (
        f"{directory / 'range.png'}: the NLL fell fastest at a learning rate of {found.suggested:.2g}, "
        f"and was lowest at {found.lowest:.2g}"
    )
    console.report({"directory": str(directory), **found.__dict__}, [line])


def _train(corpus: Corpus, recipe: Recipe, given: dict[str, Any], run: RunFlags, command: str) -> None:
    """Train, alone or together with other processes, of which the first reports."""
    from musicrnn.training.distributed import is_main_process, joined

    name = f"{corpus.name}-{run.recipe or recipe.network.recurrent.cell}"
    allowed = {"resume": run.resume, "overwrite": run.overwrite}
    with ExitStack() as stack:
        # Before torch is imported, which takes as long.
        plots = stack.enter_context(PlotProcess()) if is_main_process() else None
        from musicrnn.training.loop import train
        from musicrnn.training.run import STATE, checked_recipe, new_run, newest_run

        find = newest_run if run.resume else new_run
        world, device = stack.enter_context(joined(chosen_device(run.device)))
        directory = world.broadcast(lambda: run.output or find(RUNS, name))
        chosen = world.broadcast(lambda: checked_recipe(directory, corpus, recipe, given, **allowed))
        how: dict[str, Any] = {"overwrite": run.overwrite, "on_nan": run.on_nan, "world": world}
        how["device"] = device
        if plots is None:
            with suppress(KeyboardInterrupt):  # the first process reports it
                train(corpus, chosen, directory, **how)
            return
        callbacks: list[Callback] = [TrainingProgress(chosen, directory, stack)]
        if run.tensorboard:
            from musicrnn.training.tensorboard import TensorBoard

            callbacks.append(stack.enter_context(TensorBoard(directory)))
        how |= {"save_minutes": run.save_minutes, "callbacks": callbacks, "plot": plots.plot}
        try:
            trained = train(corpus, chosen, directory, **how)
        except KeyboardInterrupt:
            if (directory / STATE).exists():
                console.note(f"saved; resume with: {command} -o {directory} --resume")
            raise
    _report(trained, chosen)


def _report(trained: Trained, recipe: Recipe) -> None:
    """Print the result of a training."""
    document = {
        "model": str(trained.directory),
        "cell": recipe.network.recurrent.cell,
        "hidden": recipe.network.recurrent.hidden,
        "parameters": trained.model.parameter_count,
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        **{f"{split}_nll": trained.nlls.get(split) for split in ("train", "valid", "test")},
        "seconds": round(trained.seconds, 3),
        "frames_per_second": round(trained.frames_per_second, 1),
        "padding": round(trained.padding, 4),
    }
    lines = [
        f"{trained.directory}: {recipe.network}, {trained.model.parameter_count:,} parameters, "
        f"best epoch {trained.best_epoch} of {len(trained.history)}, {trained.seconds:.0f} s, "
        f"{trained.padding:.1%} padding",
        "NLL per frame: " + ", ".join(f"{split} {nll:.3f}" for split, nll in trained.nlls.items()),
    ]
    console.report(document, lines)
