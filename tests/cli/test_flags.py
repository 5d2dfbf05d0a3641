"""From functions to commands: groups of flags, and the flags that all commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from musicrnn.cli import console
from musicrnn.cli.flags import GroupedCommand, as_command, flag
from tests.conftest import ran

Invoke = Callable[..., Result]


@dataclass(frozen=True)
class Size:
    """Size."""

    width: int = flag(3, "Columns.")
    high: bool = flag(False, "Many rows.")


@dataclass(frozen=True)
class Names:
    """Names."""

    size: str | None = flag(None, "The name of the size.", "--name", "-n")


def run(*arguments: str) -> str:
    console.reset()
    app = typer.Typer(rich_markup_mode=None)

    @as_command
    def command(size: Size, names: Names) -> None:
        console.note("a message")
        console.report({"size": size.width}, [f"{size} {names}"])

    app.command(cls=GroupedCommand)(command)
    return CliRunner().invoke(app, list(arguments)).output


def test_groups_become_flags_and_values_of_their_own() -> None:
    assert "Size(width=3, high=False) Names(size=None)" in run()
    assert "Size(width=5, high=True) Names(size='x')" in run("--width", "5", "--high", "-n", "x")
    assert "No such option" in run("--no-high")


def test_json_and_quiet_are_added() -> None:
    assert run("--json", "--quiet") == '{\n "size": 3\n}\n'
    assert "a message\n" in run() and "Size" not in run("--json")


def test_the_help_has_a_section_for_each_group() -> None:
    lines = run("--help").splitlines()
    headings = [line for line in lines if re.fullmatch(r"\w+:", line)]
    assert headings == ["Size:", "Names:", "Options:"]
    assert lines[lines.index("Size:") + 1].split() == ["--width", "<int>", "Columns.", "[default:", "3]"]


def test_settings_of_a_recipe_are_listed_by_group(invoke: Invoke) -> None:
    for command in ("train", "sweep"):
        text = ran(invoke(command, "--help"))
        headings = re.findall(r"^([A-Z]\w+):$", text, re.MULTILINE)
        order = ["Network", "Structure", "Regularisation", "Optimiser", "Schedule", "Data", "Run"]
        assert [heading for heading in headings if heading in order] == order
        assert headings[0] == "Arguments" and headings[-1] == "Options"


def test_quiet_and_verbose_also_work_before_the_command(
    invoke: Invoke, midi_folder: Path, tmp_path: Path
) -> None:
    command = ("prepare", midi_folder, "-o", tmp_path / "c")
    assert invoke("--quiet", *command).stderr == ""
    assert "piece-00.mid" in invoke("--verbose", *command).stderr
    assert "piece-00.mid" not in invoke(*command).stderr
