"""Music in any notation -> Score: MIDI, and through music21, an optional package, MusicXML and ABC."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

from musicrnn.errors import MidiError
from musicrnn.music.midi import MAX_FILE_BYTES, read_file, read_midi
from musicrnn.music.score import Score

SUFFIXES = {".abc": "abc", ".musicxml": "musicxml", ".xml": "musicxml", ".mxl": "musicxml"}
"""Suffixes of written music, and music21's names of their formats."""

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_TUNE = re.compile(rb"^X:", re.MULTILINE)
_FIELD = re.compile(rb"^[A-Z]:[^\n]*\n", re.MULTILINE)


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in small letters, ``.abc`` for ``tunes.abc#2``, the second tune."""
    return "." + name.rpartition(".")[2].partition("#")[0].lower()


def read_score(source: Path | str | bytes, name: str | None = None) -> Score:
    """Read a piece of music: MusicXML or ABC if its name has such a suffix, else MIDI.

    Args:
        source: A path, or the bytes of the file. Of an ABC file with several tunes the first is read.
        name: The file's name, also in errors, if it isn't the path.

    Returns:
        The score, repeats played once as written.

    Raises:
        FileError: The file can't be read.
        MidiError: The bytes can't be read as music; the error's ``reason`` says why in one word.
    """
    name = name or ("the given bytes" if isinstance(source, bytes) else str(source))
    suffix = suffix_of(name)
    if suffix not in SUFFIXES:
        return read_midi(source, name)
    content = source if isinstance(source, bytes) else read_file(source)
    return replace(read_midi(_to_midi(content, suffix, name), name), reader="music21")


def split_tunes(content: bytes) -> list[bytes]:
    """Return the tunes of an ABC file, or the file as it is if it has none.

    Fields before the first tune hold for every tune that doesn't set them itself.
    """
    starts = [match.start() for match in _TUNE.finditer(content)]
    if not starts:
        return [content]
    common, tunes = _FIELD.findall(content[: starts[0]]), []
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        first, _, rest = content[start:end].partition(b"\n")
        fields = [field for field in common if b"\n" + field[:2] not in b"\n" + rest]
        tunes.append(b"".join([first, b"\n", *fields, rest]))
    return tunes


def _to_midi(content: bytes, suffix: str, name: str) -> bytes:
    """Return written music as the bytes of a MIDI file."""
    try:
        import music21
    except ImportError as error:
        text = "expected music21 for written music (pip install music21), found none"
        raise MidiError(f"{name}: {text}", "needs-music21") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if suffix == ".abc":
                content = split_tunes(content)[0]
            text = _text(_unzipped(content) if suffix == ".mxl" else content)
            parsed = music21.converter.parseData(text, format=SUFFIXES[suffix])
            for part in parsed.getElementsByClass("Part") or [parsed]:
                music21.harmony.realizeChordSymbolDurations(part)
            return bytes(music21.midi.translate.streamToMidiFile(parsed).writestr())
    except Exception as error:  # music21 raises any kind of error
        found = " ".join(str(error).split())[:200] or type(error).__name__
        raise MidiError(f"{name}: expected music that music21 can read, found: {found}", "damaged") from error


def _unzipped(content: bytes) -> bytes:
    """Return the score inside a compressed MusicXML file, bounded in size."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not name.startswith("META-INF")]
        name = next(name for name in names if name.endswith((".xml", ".musicxml")))
        with archive.open(name) as file:
            text = file.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise ValueError(f"more than {MAX_FILE_BYTES} bytes once expanded")
    return text


def _text(content: bytes) -> str:
    """Return the text of a file without its XML declaration, whose encoding no longer applies."""
    try:
        text = content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return _DECLARATION.sub("", text, count=1)
