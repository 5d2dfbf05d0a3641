"""A hyper-parameter search: a line for each trial on stderr, then a table of all trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from musicrnn.cli import console
from musicrnn.cli.present.text import Column, figures, table

if TYPE_CHECKING:
    from musicrnn.experiments.sweep.store import Trial


def trial_table(trials: Sequence[Trial], searched: Iterable[str]) -> str:
    """Return a table of trials, in their order, with a column for each setting that is searched."""
    from musicrnn.plots.study import setting_label

    names = list(searched)
    states = [f"{trial.state}: {trial.reason}" if trial.reason else trial.state for trial in trials]
    columns = [
        figures("rank", [n if trial.state == "complete" else None for n, trial in enumerate(trials, 1)]),
        figures("trial", [trial.number for trial in trials]),
        figures("valid NLL", [trial.valid_nll for trial in trials], ".3f"),
        figures("trained" if "epochs" in names else "epochs", [trial.epochs for trial in trials]),
        *(Column(name, [setting_label(trial.settings.get(name)) for trial in trials]) for name in names),
        Column("state", states, "<"),
    ]
    return table(columns, width=10**9)


class TrialLines:
    """Prints a line per trial to stderr, with ``--verbose`` one per epoch, too."""

    def __init__(self) -> None:
        self.begun = False
        self.done = 0

    def begin(self, done: int, trials: int) -> None:
        """Print how many trials are done already."""
        self.begun, self.done = True, done
        if done:
            console.note(f"resuming after {done} of {trials} trials")

    def epoch(self, trial: Trial) -> None:
        """Print an epoch."""
        console.detail(f"trial {trial.number}: epoch {trial.epochs}, best valid {trial.valid_nll:.3f}")

    def died(self, how: str) -> None:
        """Print how a worker process died."""
        console.note(f"a worker was ended by {how}")

    def finished(self, trial: Trial, best: Trial | None) -> None:
        """Print a trial that ended."""
        from musicrnn.plots.study import setting_label

        self.done += 1
        settings = ", ".join(f"{name} {setting_label(value)}" for name, value in trial.settings.items())
        nll = "" if trial.valid_nll is None else f", valid {trial.valid_nll:.3f} after epoch {trial.epochs}"
        so_far = f"; best {best.valid_nll:.3f}, trial {best.number}" if best else ""
        reason = f" ({trial.reason})" if trial.reason else ""
        console.note(f"trial {trial.number} {trial.state}{nll}: {settings}{reason}{so_far}")
