"""Where the chorales and models that ship with the program are: inside the wheel, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def bundled(name: str) -> Path:
    """Return the path of something that ships with the program.

    Args:
        name: Path in the project, such as ``data/chorales`` or ``models/chorales-gru``.

    Returns:
        The path in the installed package if it is there, else in the checkout around the package. It
        may not exist; opening it raises the error.
    """
    installed = _PACKAGE / "_bundled" / name
    return installed if installed.exists() else _PACKAGE.parent / name


def resolve(path: Path) -> Path:
    """Return ``path`` if it exists, else what ships with the program under that name, if anything."""
    if path.exists() or path.is_absolute():
        return path
    shipped = bundled(path.as_posix())
    return shipped if shipped.exists() else path
