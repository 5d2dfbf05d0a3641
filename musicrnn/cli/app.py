"""The command line: its commands, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from musicrnn import __version__
from musicrnn.cli import console
from musicrnn.cli.datasets import datasets
from musicrnn.cli.evaluate import evaluate
from musicrnn.cli.flags import GroupedCommand, Messages, as_command
from musicrnn.cli.prepare import prepare
from musicrnn.cli.render import render
from musicrnn.cli.reproduce import reproduce
from musicrnn.cli.sample import sample
from musicrnn.cli.show import show
from musicrnn.cli.sweep import sweep
from musicrnn.cli.train import train
from musicrnn.errors import MusicRNNError


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        console.reset()
        try:
            return super().invoke(ctx)
        except MusicRNNError as error:
            console.error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            console.error("interrupted")
            raise typer.Exit(130) from interrupt
        except BrokenPipeError:
            raise
        except OSError as error:
            console.error(f"{error.filename or 'a file'}: {error.strerror or error}")
            raise typer.Exit(1) from error


_TOUR = """Recurrent networks for polyphonic music.

MIDI files become piano rolls, a network learns to assign a probability to each next frame, and new MIDI
files are generated. Every command runs without arguments; this line runs every step once:

\b
musicrnn prepare && musicrnn train && musicrnn evaluate && musicrnn sample -o out.mid
"""

app = typer.Typer(
    cls=_Group,
    name="musicrnn",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        console.result(__version__)
        raise typer.Exit


_VERSION = typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")


def _main(version: Annotated[bool, _VERSION] = False) -> None:
    """Take the flags before a command."""


app.callback(help=_TOUR)(as_command(_main, Messages))
for command in (prepare, train, evaluate, sample, show, render, sweep, reproduce, datasets):
    app.command(cls=GroupedCommand)(as_command(command))


def main() -> None:
    """Run the command line."""
    app()
