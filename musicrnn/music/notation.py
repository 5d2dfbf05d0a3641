"""Written music -> Score: MusicXML and ABC through music21, which is asked for only when it is needed."""

from __future__ import annotations

import io
import re
import warnings
import zipfile

from musicrnn.errors import MidiError
from musicrnn.music.midi import MAX_FILE_BYTES, read_midi
from musicrnn.music.score import Score

SUFFIXES = {".abc": "abc", ".musicxml": "musicxml", ".xml": "musicxml", ".mxl": "musicxml"}
"""Names of files that hold written music, and what music21 calls their format."""

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


def read_notation(content: bytes, suffix: str, name: str) -> Score:
    """Read a piece of written music.

    Args:
        content: The file: MusicXML, plain or compressed, or one tune in ABC.
        suffix: How its name ends, one of ``SUFFIXES``.
        name: What to call it in errors.

    Returns:
        The score, repeats played once as written.

    Raises:
        MidiError: music21 isn't installed (``needs-music21``) or can't read it (``damaged``).
    """
    try:
        import music21
    except ImportError as error:
        raise MidiError(
            f"{name}: expected music21 for written music (pip install music21), found none", "needs-music21"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = _text(_unzipped(content) if suffix == ".mxl" else content)
            parsed = music21.converter.parseData(text, format=SUFFIXES[suffix])
            for part in parsed.getElementsByClass("Part") or [parsed]:
                music21.harmony.realizeChordSymbolDurations(part)
            midi = music21.midi.translate.streamToMidiFile(parsed).writestr()
    except Exception as error:  # music21 raises whatever its parsers run into
        found = " ".join(str(error).split())[:200] or type(error).__name__
        raise MidiError(f"{name}: expected music that music21 can read, found: {found}", "damaged") from error
    return read_midi(midi, name)


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
    """Return the text of a file, without the line in which XML names the encoding that it no longer has."""
    try:
        text = content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return _DECLARATION.sub("", text, count=1)
