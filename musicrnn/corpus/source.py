"""Source: one piece that is to be prepared, as it travels to the worker that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from musicrnn.errors import FileError, MidiError
from musicrnn.music import PianoRoll
from musicrnn.music.midi import read_file
from musicrnn.music.notation import split_tunes, suffix_of


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
        """The suffix of its file's name, in small letters."""
        return suffix_of(self.name)

    def read(self) -> bytes:
        """Return the bytes of its file.

        Raises:
            FileError: The file can't be read.
            MidiError: It is larger than any piece of music.
        """
        return read_file(self.path) if self.content is None else self.content

    def tunes(self) -> Iterator[Source]:
        """Yield itself, or each tune of an ABC file as a source of its own."""
        if self.suffix != ".abc" or self.refusal:
            yield self
            return
        try:
            content = self.read()
        except (FileError, MidiError) as error:
            yield replace(self, refusal=(str(error), error.reason))
            return
        tunes = split_tunes(content)
        for number, tune in enumerate(tunes, 1):
            place = f"#{number}" if len(tunes) > 1 else ""
            yield replace(self, name=self.name + place, path=self.path + place, content=tune)
