"""From functions to commands: groups of flags, the flags that all commands share, and help under headings.

A group is a dataclass whose fields are made with ``flag`` and whose docstring is its heading in ``--help``. A
command takes groups, and the settings of a recipe as ``Settings``; ``as_command`` makes flags of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from musicrnn.cli import console
from musicrnn.errors import UsageError
from musicrnn.training.recipe import SETTINGS

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter


def flag(default: Any, text: str, *names: str, **how: Any) -> Any:
    """Declare a flag as a field of a group; one that is False by default has no ``--no-`` form.

    Args:
        default: Its value unless one is given.
        text: Its help.
        names: ``--name`` and ``-n``, where the field's name doesn't give them.
        how: Further arguments of ``typer.Option``.
    """
    return field(default=default, metadata={"text": text, "names": names, "how": how})


def argument(metavar: str, text: str) -> Any:
    """Declare a positional argument, in the annotation of a parameter."""
    return typer.Argument(metavar=metavar, help=text)


def require(met: bool, name: str, expected: str, found: object = "none") -> None:
    """Check the value of a flag.

    Raises:
        UsageError: The condition isn't met.
    """
    if not met:
        mark = ";" if "," in expected else ","
        raise UsageError(f"{name}: expected {expected}{mark} found {found}")


class Settings(dict[str, Any]):
    """The settings of a recipe that were given as flags, by name."""

    def __init__(self, **values: Any) -> None:
        super().__init__({name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class Messages:
    """Options."""

    quiet: bool = flag(False, "Print errors only.", "--quiet", "-q")
    verbose: bool = flag(False, "Print more messages to stderr.", "--verbose", "-v")


@dataclass(frozen=True)
class Common(Messages):
    """Options."""

    json: bool = flag(False, "Print one JSON document to stdout and nothing else.")


def as_command(function: Callable[..., None], common: type[Messages] = Common) -> Callable[..., None]:
    """Return a function for Typer that takes a flag for each field in the place of a group.

    Args:
        function: Takes the groups among its parameters.
        common: A further group, which says what is printed.
    """
    signature = inspect.signature(function, eval_str=True)
    groups: dict[str, tuple[Any, list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    own = [(name, parameter.annotation) for name, parameter in signature.parameters.items()]
    for name, kind in [*own, ("common", common)]:
        if kind is Settings or is_dataclass(kind):
            members = list(_members(kind))
            groups[name] = kind, [member.name for member in members]
            parameters += members
        else:
            parameters.append(signature.parameters[name].replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(function)
    def command(**arguments: Any) -> None:
        values = {
            group: kind(**{name: arguments.pop(name) for name in names})
            for group, (kind, names) in groups.items()
        }
        console.configure(**vars(values.pop("common")))
        function(**arguments, **values)

    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _members(group: Any) -> Iterator[inspect.Parameter]:
    """Yield a parameter for each flag of a group; a setting not given is None, so that files may give it."""
    members: list[tuple[str, Any, Any, Any]] = []
    if group is Settings:
        for name, setting in SETTINGS.items():
            default = "" if setting.type is bool else f" [default: {setting.usual or setting.default}]"
            option = typer.Option(help=setting.text + default, rich_help_panel=setting.group.capitalize())
            members.append((name, setting.type | None, None, option))
    else:
        heading, hints = str(group.__doc__).rstrip("."), get_type_hints(group)
        for entry in fields(group):
            text, names, how = (entry.metadata[key] for key in ("text", "names", "how"))
            if entry.default is False and not names:
                names = (f"--{entry.name.replace('_', '-')}",)
            option = typer.Option(*names, help=text, rich_help_panel=heading, **how)
            members.append((entry.name, hints[entry.name], entry.default, option))
    for name, kind, usual, option in members:
        annotation = Annotated[kind, option]  # type: ignore[valid-type]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=usual, annotation=annotation)


class GroupedCommand(TyperCommand):
    """A command whose help lists its flags by group, those without one last."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write a section for the arguments and for each group of flags, in columns of the same width."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                is_argument = parameter.param_type_name == "argument"
                heading = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
                sections.setdefault(heading or "Options", []).append(record)
        sections["Options"] = sections.pop("Options")
        width = min(30, max(len(name) for records in sections.values() for name, _ in records))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), text) for name, text in records])
