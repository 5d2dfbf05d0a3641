"""Errors that are the user's to mend; the command line prints each as one line and exits with its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class MusicRNNError(Exception):
    """A request that could not be met. Its text names the file, what was expected and what was found.

    Attributes:
        exit_code: What the command line exits with.
        reason: A short code for reports, such as ``not-midi`` or ``too-long``.
    """

    exit_code = 1

    def __init__(self, message: str, reason: str = "unusable") -> None:
        super().__init__(message)
        self.reason = reason


class UsageError(MusicRNNError):
    """Flags that contradict each other or have no meaning for the given input."""

    exit_code = 2


class MidiError(MusicRNNError):
    """Bytes that are not readable as a Standard MIDI File."""


class RollError(MusicRNNError):
    """An array that is no piano roll, or two rolls or settings that don't fit together."""


class CorpusError(MusicRNNError):
    """A corpus or a source of music that is missing, damaged, empty or of another version."""


class ModelError(MusicRNNError):
    """A model or run that is missing, damaged, of another version, or made for other data."""


class FileError(MusicRNNError):
    """A file or folder that can't be read or written."""


@contextmanager
def about(name: object) -> Iterator[None]:
    """Prefix the text of a RollError with the name of the roll's file."""
    try:
        yield
    except RollError as error:
        raise RollError(f"{name}: {error}", error.reason) from error
