"""``musicrnn sweep``: hyper-parameter search."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musicrnn.cli import console
from musicrnn.cli.options import CORPUS, Device, Json, Quiet, Verbose, chosen_corpus, chosen_device
from musicrnn.cli.settings import with_settings
from musicrnn.errors import UsageError

if TYPE_CHECKING:
    from musicrnn.experiments.sweep import Found, Space, Trial
    from musicrnn.training import Recipe

_BASE = {"hidden": 46, "weight_noise": 0.075, "epochs": 40}
"""Settings that aren't the usual ones, unless something else is said: those of Chung et al. 2014."""
_RATES = "0.0003:0.03"


def _option(text: str, *names: str) -> Any:
    """Return an option whose help says its default."""
    return typer.Option(*names, help=text, show_default=False)


@with_settings()
def sweep(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A prepared corpus.")] = CORPUS,
    output: Annotated[
        Path | None, _option("The study. [default: models/sweeps/CORPUS-CELL]", "--output", "-o")
    ] = None,
    *,
    trials: Annotated[int, typer.Option(help="Trials in all, those done earlier counted.")] = 10,
    space: Annotated[
        Path | None,
        _option(
            "TOML file of what is searched, with lines such as `learning_rate = { low = 1e-4, high = 1e-2, "
            'log = true }`, `hidden = { low = 32, high = 256, step = 32 }`, `cell = ["gru", "lstm"]`. '
            "[default: --learning-rates]"
        ),
    ] = None,
    learning_rates: Annotated[
        str | None,
        _option(
            "LOW:HIGH, instead of --space: the learning rate is searched, drawn log-uniformly. "
            f"[default: {_RATES}, which suits adam]"
        ),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            help="random (Bergstra and Bengio 2012), or tpe: near what was good (Bergstra et al. 2011)."
        ),
    ] = "random",
    pruner: Annotated[
        str,
        typer.Option(
            help="What ends trials that go badly: none; median, those worse than half of the others; "
            "halving, all but the best third, again and again (Li et al. 2020)."
        ),
    ] = "none",
    storage: Annotated[
        str | None,
        _option(
            "Database of the study, as Optuna names it (sqlite:///sweep.db, postgresql://…); many machines "
            "may share it. [default: a journal in the study's folder]"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, each with a trial; 0 is one per core.")] = 1,
    device: Device = "auto",
    config: Annotated[
        Path | None, _option("Settings that aren't searched, from a TOML file or a run; flags win.")
    ] = None,
    settings: dict[str, Any],
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search for the best settings; every trial is a run of its own.

    Interrupt it or kill it: the same command goes on, and draws what it would have drawn. Settings that
    aren't searched are those of `train`, but with 46 hidden units and weight noise of 0.075 (Chung et al.
    2014).
    """
    console.set_level(quiet, verbose)
    from musicrnn.corpus import open_corpus
    from musicrnn.experiments import sweep as search
    from musicrnn.training import Recipe, read_settings

    base = Recipe(**{**_BASE, **(read_settings(config) if config else {}), **settings})
    searched = _space(space, learning_rates, base)
    opened = open_corpus(chosen_corpus(corpus))
    listener = _Lines()
    try:
        found = search.sweep(
            opened,
            base,
            searched,
            output or Path("models/sweeps") / f"{opened.name}-{base.cell}",
            trials=trials,
            sampler=sampler,
            pruner=pruner,
            storage=storage,
            workers=workers,
            device=chosen_device(device),
            listener=listener,
        )
    except KeyboardInterrupt:
        if listener.begun:
            console.note(f"{listener.done} of {trials} trials are done; the same command goes on")
        raise
    threads = f"OMP_NUM_THREADS={found.threads} " if found.threads else ""
    command = f"{threads}musicrnn train {_quoted(corpus)} --config {_quoted(found.config)}"
    _print(found, searched, command, json)


def _space(path: Path | None, rates: str | None, base: Recipe) -> Space:
    from musicrnn.experiments.sweep import make_space, read_space

    if path is not None:
        if rates is not None:
            raise UsageError("--space, --learning-rates: expected one of them, found both")
        return read_space(path, base)
    text = rates or _RATES
    low, _, high = text.partition(":")
    try:
        bounds = {"low": float(low), "high": float(high), "log": True}
    except ValueError as error:
        raise UsageError(f"--learning-rates: expected LOW:HIGH, found {text!r}") from error
    return make_space({"learning_rate": bounds}, base, "--learning-rates")


def _print(found: Found, space: Space, command: str, json: bool) -> None:
    from musicrnn.experiments.sweep import rows, table_lines

    if json:
        console.result_json(
            {
                "study": str(found.table.parent),
                "trials": rows(found.trials, space),
                "best": str(found.best.run),
                "picture": str(found.picture),
                "command": command,
            }
        )
        return
    for line in table_lines(found.trials, space):
        console.result(line)
    console.note(f"{found.picture}, {found.table}")
    console.result(f"repeat the best: {command}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


class _Lines:
    """Shows a sweep on stderr: a line per trial, with ``--verbose`` one per epoch, too."""

    def __init__(self) -> None:
        self.begun = False
        self.done = 0

    def begin(self, done: int, trials: int) -> None:
        """Say where the sweep goes on."""
        self.begun, self.done = True, done
        if done:
            console.note(f"going on after {done} of {trials} trials")

    def epoch(self, trial: Trial) -> None:
        """Show an epoch."""
        console.detail(f"trial {trial.number}: epoch {trial.epochs}, best valid {trial.valid_nll:.3f}")

    def died(self, how: str) -> None:
        """Say that there is a worker less."""
        console.note(f"a worker was ended by {how}")

    def finished(self, trial: Trial, best: Trial | None) -> None:
        """Show a trial."""
        from musicrnn.experiments.sweep import show

        self.done += 1
        settings = ", ".join(f"{name} {show(value)}" for name, value in trial.settings.items())
        nll = "" if trial.valid_nll is None else f", valid {trial.valid_nll:.3f} after epoch {trial.epochs}"
        so_far = f"; best {best.valid_nll:.3f}, trial {best.number}" if best else ""
        reason = f" ({trial.reason})" if trial.reason else ""
        console.note(f"trial {trial.number} {trial.state}{nll}: {settings}{reason}{so_far}")
