"""Written music is read through music21 where it is installed, and says what is missing where it isn't."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from musicrnn.errors import MidiError
from musicrnn.music import midi_bytes, notation
from musicrnn.music.notation import read_score
from musicrnn.music.score import NOTE, Key, Metre, Score, Track

TUNE = b'X:1\nT:A tune\nM:3/4\nL:1/8\nQ:1/4=100\nK:G\n"G"G2 B2 d2|"C"e4 d2|]\n'
PIECE = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1">
 <part-list><score-part id="P1"><part-name>Flute</part-name></score-part></part-list>
 <part id="P1"><measure number="1">
  <attributes><divisions>2</divisions><key><fifths>-3</fifths><mode>minor</mode></key>
   <time><beats>3</beats><beat-type>4</beat-type></time></attributes>
  <note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note>
  <note><chord/><pitch><step>E</step><alter>-1</alter><octave>4</octave></pitch><duration>2</duration></note>
  <note><rest/><duration>2</duration></note>
  <note><pitch><step>G</step><octave>4</octave></pitch><duration>2</duration></note>
 </measure></part>
</score-partwise>"""


@pytest.fixture
def music21() -> None:
    pytest.importorskip("music21", reason="pip install music21")


def compressed(name: str = "piece.xml") -> bytes:
    """The piece as compressed MusicXML, with the folder that says where it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr(name, PIECE)
    return buffer.getvalue()


def quarters(score: Score) -> list[list[tuple[float, float, int]]]:
    """(start, end, pitch) of the notes of each track, in quarter notes."""
    unit = score.ticks_per_quarter
    return [
        [(start / unit, end / unit, pitch) for start, end, pitch, _ in track.notes.tolist()]
        for track in score.tracks
    ]


@pytest.mark.usefixtures("music21")
def test_a_tune_in_abc_is_read_with_its_chords_tempo_metre_and_key() -> None:
    score = read_score(TUNE, "tune.abc")
    melody = [(0, 1, 67), (1, 2, 71), (2, 3, 74), (3, 5, 76), (5, 6, 74)]
    chords = [(0, 3, 55), (0, 3, 59), (0, 3, 62), (3, 6, 48), (3, 6, 52), (3, 6, 55)]
    assert [sorted(track) for track in quarters(score)] == [sorted(melody + chords)]
    assert (score.main_tempo(), score.main_metre()) == (100.0, (3, 4))
    assert (score.keys, score.hanging) == ((Key(0, 1, False),), 0)


@pytest.mark.usefixtures("music21")
@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (PIECE.encode(), ".musicxml"),
        (b"\xef\xbb\xbf" + PIECE.encode(), ".xml"),
        (PIECE.replace("UTF-8", "UTF-16").encode("utf-16"), ".xml"),
        (PIECE.replace("UTF-8", "ISO-8859-1").replace("Flute", "Flöte").encode("latin-1"), ".xml"),
        (compressed(), ".mxl"),
        (compressed("folder/piece.musicxml"), ".mxl"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16", "Latin-1", "compressed", "compressed in a folder"],
)
def test_musicxml_is_read(content: bytes, suffix: str) -> None:
    score = read_score(content, f"piece{suffix}")
    assert quarters(score) == [[(0, 1, 60), (0, 1, 63), (2, 3, 67)]]
    assert score.tracks[0].name in ("Flute", "Flöte")
    assert (score.metres, score.keys) == ((Metre(0, 3, 4),), (Key(0, -3, True),))


@pytest.mark.usefixtures("music21")
@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"", ".abc"),
        (b"no tune", ".abc"),
        (b"<html></html>", ".xml"),
        (PIECE[:300].encode(), ".musicxml"),
        (compressed()[:-30], ".mxl"),
        (compressed("piece.txt"), ".mxl"),
    ],
)
def test_what_music21_cannot_read_is_damaged(content: bytes, suffix: str) -> None:
    with pytest.raises(
        MidiError, match=r"a book\.\w+: expected music that music21 can read, found: ."
    ) as caught:
        read_score(content, f"a book{suffix}")
    assert caught.value.reason == "damaged"


@pytest.mark.usefixtures("music21")
def test_compressed_music_expands_to_no_more_than_any_piece_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notation, "MAX_FILE_BYTES", len(PIECE) - 1)
    with pytest.raises(MidiError, match=f"more than {len(PIECE) - 1} bytes once expanded"):
        read_score(compressed(), "bomb.mxl")


def test_says_what_to_install_where_music21_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(MidiError, match=r"tune\.abc: expected music21 .*pip install music21") as caught:
        read_score(TUNE, "tune.abc")
    assert caught.value.reason == "needs-music21"


@pytest.mark.parametrize("name", ["piece.mid", "piece", "stdin"])
def test_any_other_name_is_read_as_midi(name: str, tmp_path: Path) -> None:
    notes = np.array([(0, 480, 60, 80)], NOTE)
    content = midi_bytes(Score(480, (Track(notes),)))
    (tmp_path / name).write_bytes(content)
    for score in (read_score(content, name), read_score(content), read_score(tmp_path / name)):
        assert (quarters(score), score.reader) == ([[(0, 1, 60)]], "symusic")
    with pytest.raises(MidiError, match=f"{name}: expected a MIDI file") as caught:
        read_score(TUNE, name)
    assert caught.value.reason == "not-midi"


@pytest.mark.usefixtures("music21")
def test_the_first_tune_of_several_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tunes.ABC"
    path.write_bytes(TUNE + b"\nX:2\nK:C\nC8|\n")
    assert (read_score(path).quarters, read_score(path).reader) == (6, "music21")
