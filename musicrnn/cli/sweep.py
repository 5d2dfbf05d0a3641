"""``musicrnn sweep``: hyper-parameter search."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from musicrnn.cli import console
from musicrnn.cli.flags import Settings, argument, flag, require
from musicrnn.cli.options import CORPUS, chosen_corpus, chosen_device, device_flag, parse_range
from musicrnn.cli.present.trials import TrialLines, trial_table

if TYPE_CHECKING:
    from musicrnn.experiments.sweep.space import Space
    from musicrnn.training import Recipe

_BASE = {"hidden": 46, "weight_noise": 0.075, "epochs": 40}
"""Settings of Chung et al. 2014, where a sweep's defaults differ from a recipe's."""
_RATES = "0.0003:0.03"


@dataclass(frozen=True)
class SearchFlags:
    """Search."""

    output: Path | None = flag(None, "The folder. [default: models/sweeps/CORPUS-CELL]", "--output", "-o")
    trials: int = flag(10, "Trials in all, earlier ones counted.")
    space: Path | None = flag(
        None,
        "TOML file of the settings to search, with lines such as `learning_rate = { low = 1e-4, high = "
        '1e-2, log = true }`, `hidden = { low = 32, high = 256, step = 32 }`, `cell = ["gru", "lstm"]`. '
        "[default: --learning-rates]",
    )
    learning_rates: str | None = flag(
        None,
        "LOW:HIGH, instead of --space: search the learning rate, sampled log-uniformly. "
        f"[default: {_RATES}, which suits adam]",
    )
    sampler: str = flag(
        "random", "random (Bergstra and Bengio 2012), or tpe: near good settings (Bergstra et al. 2011)."
    )
    pruner: str = flag(
        "none",
        "Which trials to stop early: none; median, those worse than half of the others; halving, all but "
        "the best third, repeatedly (Li et al. 2020).",
    )
    storage: str | None = flag(
        None,
        "Database of the study, as an Optuna URL (sqlite:///sweep.db, postgresql://…); many machines may "
        "share it. [default: a journal in the study's folder]",
    )


@dataclass(frozen=True)
class WorkerFlags:
    """Run."""

    workers: int = flag(1, "Processes, each of which runs a trial; 0 is one per core.")
    device: str = device_flag()
    config: Path | None = flag(None, "Other settings: a TOML file or run's config.json. Flags override them.")


def sweep(
    corpus: Annotated[Path, argument("CORPUS", "A prepared corpus.")] = CORPUS,
    *,
    search: SearchFlags,
    settings: Settings,
    run: WorkerFlags,
) -> None:
    """Search for the best settings; every trial is a run of its own.

    If interrupted or killed, run the same command to continue; it samples the same settings as without the
    interruption. Settings that aren't searched are those of `train`, but with 46 hidden units and weight
    noise of 0.075 (Chung et al. 2014).
    """
    from musicrnn.corpus import open_corpus
    from musicrnn.experiments.sweep import rows, sweep
    from musicrnn.training import Recipe, read_settings

    base = Recipe.of(**{**_BASE, **(read_settings(run.config) if run.config else {}), **settings})
    space = _space(search.space, search.learning_rates, base)
    opened = open_corpus(chosen_corpus(corpus))
    callback = TrialLines()
    try:
        found = sweep(
            opened,
            base,
            space,
            search.output or Path("models/sweeps") / f"{opened.name}-{base.network.recurrent.cell}",
            trials=search.trials,
            sampler=search.sampler,
            pruner=search.pruner,
            storage=search.storage,
            workers=run.workers,
            device=chosen_device(run.device),
            callback=callback,
        )
    except KeyboardInterrupt:
        if callback.begun:
            count = f"{callback.done} of {search.trials} trials"
            console.note(f"{count} are done; run the same command to continue")
        raise
    threads = f"OMP_NUM_THREADS={found.threads} " if found.threads else ""
    command = threads + shlex.join(["musicrnn", "train", str(corpus), "--config", str(found.config)])
    document = {
        "study": str(found.table.parent),
        "trials": rows(found.trials, space),
        "best": str(found.best.run),
        "picture": str(found.picture),
        "command": command,
    }
    if not console.wants_json():
        console.note(f"{found.picture}, {found.table}")
    console.report(document, [trial_table(found.trials, space), f"repeat the best: {command}"])


def _space(path: Path | None, rates: str | None, base: Recipe) -> Space:
    from musicrnn.experiments.sweep.space import make_space, read_space

    require(path is None or rates is None, "--space, --learning-rates", "one of them", "both")
    if path is not None:
        return read_space(path, base)
    low, high = parse_range("--learning-rates", rates or _RATES, float, _RATES)
    return make_space({"learning_rate": {"low": low, "high": high, "log": True}}, base, "--learning-rates")
