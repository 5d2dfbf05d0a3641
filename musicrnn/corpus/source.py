"""Source: one piece that is to be prepared, as it travels to the worker that reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from musicrnn.errors import FileError, MidiError
from musicrnn.music import PianoRoll
from musicrnn.music.midi import read_file

_TUNE = re.compile(rb"^X:", re.MULTILINE)
_FIELD = re.compile(rb"^[A-Z]:[^\n]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """One piece that is to be prepared.

    Attributes:
        name: Its name in reports and in the corpus.
        path: Its file; for what has none, what to call it in errors.
        split: The split that the source puts it in, or None.
        content: The bytes of the file, where it has been read already.
        roll: Its frames, where the source publishes rolls.
        refusal: Why it can't be had, in words and as a short code.
    """

    name: str
    path: str
    split: str | None = None
    content: bytes | None = None
    roll: PianoRoll | None = None
    refusal: tuple[str, str] | None = None

    @property
    def suffix(self) -> str:
        """How the name of its file ends, in small letters."""
        return "." + self.name.rpartition(".")[2].partition("#")[0].lower()

    def read(self) -> bytes:
        """Return the bytes of its file.

        Raises:
            FileError: The file can't be read.
            MidiError: It is larger than any piece of music.
        """
        return read_file(self.path) if self.content is None else self.content

    def tunes(self) -> Iterator[Source]:
        """Yield itself, or the tunes of a book of tunes in ABC, each as a source of its own.

        What the book says before its first tune goes for every tune that doesn't say otherwise.
        """
        if self.suffix != ".abc" or self.refusal:
            yield self
            return
        try:
            content = self.read()
        except (FileError, MidiError) as error:
            yield replace(self, refusal=(str(error), error.reason))
            return
        starts = [match.start() for match in _TUNE.finditer(content)]
        if not starts:
            yield replace(self, content=content)
            return
        common = _FIELD.findall(content[: starts[0]])
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(content)], strict=True), 1):
            first, _, rest = content[start:end].partition(b"\n")
            fields = [field for field in common if b"\n" + field[:2] not in b"\n" + rest]
            tune = b"".join([first, b"\n", *fields, rest])
            place = f"#{number}" if len(starts) > 1 else ""
            yield replace(self, name=self.name + place, path=self.path + place, content=tune)
