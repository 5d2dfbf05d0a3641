"""The flags of a recipe, made of its declarations, for the commands that train."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from musicrnn.training.recipe import SETTINGS, setting_types

_Command = TypeVar("_Command", bound=Callable[..., None])


def with_settings(*also: str) -> Callable[[_Command], _Command]:
    """Put the flags of a recipe in the place of a command's parameter ``settings``.

    The command gets the settings that were given, by name.

    Args:
        also: Settings that the command has flags of its own for.
    """
    names = [name for name in SETTINGS if name not in also]

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def gathered(**arguments: Any) -> None:
            values = {name: arguments.pop(name) for name in names}
            command(
                settings={name: value for name, value in values.items() if value is not None}, **arguments
            )

        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            parameters += map(_flag, names) if parameter.name == "settings" else [parameter]
        gathered.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return gathered  # type: ignore[return-value]

    return decorate


def _flag(name: str) -> inspect.Parameter:
    """Return the option of a setting; not given, it is None, so that files may say it."""
    setting, kind = SETTINGS[name], setting_types()[name]
    usual = setting.metadata["usual"] or setting.default
    text = setting.metadata["text"] + ("" if kind is bool else f" [default: {usual}]")
    option = typer.Option(help=text, show_default=False)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
