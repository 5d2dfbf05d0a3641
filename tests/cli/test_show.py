"""Text and plots of ``show``, run inside this process."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import Result

from musicrnn import open_corpus, read_midi, to_pianoroll, to_score, write_midi
from musicrnn.corpus import Corpus
from musicrnn.corpus.summary import count_duplicates
from musicrnn.music import PianoRoll, Score, Track
from musicrnn.music.score import NOTE, Key, Metre, Tempo
from tests.conftest import ran

Invoke = Callable[..., Result]

TUNES = """X:1
T:One
M:3/4
L:1/4
K:Gm
G A B|c d e|f g a|G3|
X:2
T:Two
M:4/4
L:1/4
K:C
C D E F|G4|
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def texts_in(path: str) -> list[str]:
    """The texts of an SVG picture, which matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", Path(path).read_text())


def notes(*entries: tuple[int, int, int]) -> np.ndarray:
    """Notes of (start, end, pitch) in ticks."""
    return np.array([(*entry, 80) for entry in entries], NOTE)


@pytest.fixture
def band(tmp_path: Path) -> Path:
    """A MIDI file of a melody, a bass and drums, in F major and 3/4, first at 60, then at 120."""
    melody, bass = notes((0, 480, 65), (480, 960, 69), (960, 1440, 72)), notes((0, 1440, 41))
    drums = notes((0, 240, 36), (480, 720, 38))
    tracks = (
        Track(melody, 73, name="Flute\nsolo"),
        Track(bass, 32, name="Bass"),
        Track(drums, is_drum=True, name="Kit"),
    )
    score = Score(480, tracks, (Tempo(0, 60), Tempo(960, 120)), (Metre(0, 3, 4),), (Key(0, -1, False),))
    write_midi(score, tmp_path / "band.mid")
    return tmp_path / "band.mid"


def test_show_describes_and_plots_everything(
    invoke: Invoke, midi_folder: Path, corpus: Corpus, trained: Path
) -> None:
    piece = midi_folder / "piece-00.mid"
    midi = json.loads(ran(invoke("show", piece, "--json")))
    assert (midi["kind"], midi["tempo"], midi["metre"], midi["polyphony"]) == ("midi", 90, [3, 4], 2)
    described = json.loads(ran(invoke("show", corpus.directory, "--json")))
    assert (described["pieces"], described["frames"]) == (12, corpus.frames)
    model = json.loads(ran(invoke("show", trained, "--json")))
    assert (model["hidden"], model["epochs"], model["corpus"]) == (8, 3, corpus.name)
    assert "C4" in ran(invoke("show", piece)) and "polyphony" in ran(invoke("show", piece, corpus.directory))
    assert ran(invoke("show", piece, corpus.directory, "-o", "rolls.png")) == "rolls.png\n"
    assert Path("rolls.png").read_bytes().startswith(b"\x89PNG")
    ran(invoke("show", trained, "-o", "curves.svg"))
    assert ElementTree.parse("curves.svg").getroot().tag.endswith("svg")


def test_tracks_are_numbered_as_prepare_takes_them(invoke: Invoke, band: Path) -> None:
    found = json.loads(ran(invoke("show", band, "--json")))
    assert found["tracks"] == 3
    names = ("number", "program", "drums", "notes", "lowest_pitch", "highest_pitch")
    assert [tuple(track[name] for name in names) for track in found["track_list"]] == [
        (1, 73, False, 3, 65, 72),
        (2, 32, False, 1, 41, 41),
        (3, 0, True, 2, 36, 38),
    ]
    assert [track["name"] for track in found["track_list"]] == ["Flute\nsolo", "Bass", "Kit"]
    second = found["track_list"][1]
    ran(invoke("prepare", band, "--tracks", second["number"], "--no-trim", "-o", "bass", "--json"))
    assert {int(note["pitch"]) for note in open_corpus("bass").roll(0).notes()} == {second["lowest_pitch"]}


def test_the_facts_of_a_file(invoke: Invoke, band: Path) -> None:
    found = json.loads(ran(invoke("show", band, "--json")))
    assert (found["key_signature"], found["key"]) == ("F major", "F major")
    assert found["seconds"] == pytest.approx(2 * 1 + 1 * 0.5)
    assert (found["quarters"], found["reader"], found["hanging_notes"]) == (3, "symusic", 0)
    assert found["pitch_histogram"] == {"41": 12, "65": 4, "69": 4, "72": 4}
    assert found["polyphony_histogram"] == {"0": 0, "1": 0, "2": 12}


def test_hanging_notes_are_counted(invoke: Invoke) -> None:
    events = bytes([0, 0x90, 60, 80, 96, 0x90, 64, 80, 96, 0x80, 64, 0, 0, 0xFF, 0x2F, 0])
    header = b"MThd\0\0\0\6\0\0\0\1\0\x60"
    Path("hung.mid").write_bytes(header + b"MTrk" + len(events).to_bytes(4, "big") + events)
    assert json.loads(ran(invoke("show", "hung.mid", "--json")))["hanging_notes"] == 1
    assert "hanging notes 1 that the file never ends" in ran(invoke("show", "hung.mid"))
    found = json.loads(ran(invoke("show", "hung.mid", "--json")))
    assert (found["tempo"], found["metre"], found["key_signature"]) == (None, None, None)


def test_the_page_of_a_file(invoke: Invoke, band: Path) -> None:
    page = ran(invoke("show", band))
    for line in (
        "length        2.5 s, 3 quarters, 12 frames at 4 per quarter",
        "metre         3/4",
        "key           F major found; key signature: F major",
        "tracks        1  Flute solo  program 73  3 notes  F4 to C5",
        "              2  Bass        program 32   1 note  F2 to F2",
        "              3  Kit         drums       2 notes",
        "range         F2 to C5 (41 to 72), 4 different pitches",
        "voices (frames)",
        "2 █████████████████ 100%",
    ):
        assert line in page.splitlines()
    assert "hanging" not in page and "keys" not in page and "silence" not in page


def test_a_piece_can_come_from_stdin(invoke: Invoke, band: Path) -> None:
    page = ran(invoke("show", "-", input=band.read_bytes()))
    assert "F2 to C5" in page and re.search("^  C4 ┤", page, re.MULTILINE)


def test_only_drums_are_silence(invoke: Invoke, tmp_path: Path) -> None:
    write_midi(Score(480, (Track(notes((0, 960, 36)), is_drum=True),)), tmp_path / "drums.mid")
    page = ran(invoke("show", "drums.mid"))
    assert (
        "silence       100% of frames, for at most 2 quarters" in page and "key           none found" in page
    )
    found = json.loads(ran(invoke("show", "drums.mid", "--json")))
    assert (found["notes"], found["pitch_histogram"], found["key"]) == (0, {}, None)


def test_corpus_document_keeps_its_keys_and_has_new_ones(invoke: Invoke, corpus: Corpus) -> None:
    found = json.loads(ran(invoke("show", corpus.directory, "--json")))
    assert found["splits"] == {name: len(split) for name, split in corpus.items()}
    assert (found["tempo"], found["metre"], found["width"]) == (90, [3, 4], 24)
    assert found["metres"] == {"3/4": 12} and sum(found["keys"].values()) == 12
    assert found["hours"] == pytest.approx(corpus.frames / 4 / 90 / 60)
    assert found["duplicates"] == count_duplicates(corpus)._asdict()
    assert (found["skipped"], found["reasons"], found["pieces_without_tempo"]) == (0, {}, 0)
    assert sum(found["polyphony_histogram"].values()) == corpus.frames


def test_the_page_of_a_corpus(invoke: Invoke, corpus: Corpus) -> None:
    page = ran(invoke("show", corpus.directory))
    lines = page.splitlines()
    splits = ", ".join(f"{name} {len(split)}" for name, split in corpus.items())
    assert f"pieces        12: {splits}" in lines
    assert "layout        D=24 (frame+onset, pitches 60:71, 4 per quarter)" in lines
    assert "tempo         90 quarters per minute in the median piece" in lines
    assert "skipped       none" in lines
    assert any(re.fullmatch(r"keys \(pieces\) +metres \(pieces\) +voices \(frames\)", line) for line in lines)
    assert any(re.search("  3/4 █+ 12  ", line) for line in lines)
    assert corpus.pieces[0].name in lines
    assert max(map(len, lines)) <= 110 and not any(line != line.rstrip() for line in lines)


def test_the_page_counts_duplicates_skipped_files_and_guessed_tempos(
    invoke: Invoke, band: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    roll = to_pianoroll(read_midi(band), channels="frame")
    lower = PianoRoll(np.roll(roll.frames, -2, axis=1), roll.layout)
    for name, piece in {"a": roll, "b": roll, "c": lower}.items():
        score = to_score(piece)
        write_midi(Score(score.ticks_per_quarter, score.tracks), folder / f"{name}.mid")
    (folder / "d.mid").write_bytes(b"")
    (folder / "e.mid").write_bytes(b"<html>")
    (folder / "f.mid").write_bytes(b"")
    ran(invoke("prepare", folder, "-o", "c", "--json"))
    lines = ran(invoke("show", "c")).splitlines()
    assert (
        "duplicates    2 copies of an earlier piece (1 in another key); none in more than one split" in lines
    )
    assert "skipped       3: 2 empty, 1 html" in lines
    assert "playing time  4.5 s; 3 of 3 pieces without a tempo, taken at 120" in lines
    ran(invoke("show", "c", "-o", "c.svg"))
    (caption,) = [text for text in texts_in("c.svg") if "Skipped" in text]
    assert "2 copies of an earlier piece (1 in another key)" in caption and "3: 2 empty, 1 html" in caption


def test_frames_in_seconds_are_shown_in_seconds(invoke: Invoke, band: Path) -> None:
    ran(invoke("prepare", band, "--frame-seconds", 0.1, "-o", "c", "--json"))
    page = ran(invoke("show", "c"))
    assert "playing time  2.5 s\n" in page and "0.1 s each" in page
    assert "longest 2.5 s" in page and "1.60 start per second" in page and "quarter" not in page
    ran(invoke("show", "c", "-o", "c.svg"))
    assert {"seconds", "quarter notes at 120 per minute"} <= set(texts_in("c.svg"))


def test_a_corpus_alone_is_plotted_as_a_page(invoke: Invoke, corpus: Corpus) -> None:
    assert ran(invoke("show", corpus.directory, "-o", "page.svg")) == "page.svg\n"
    texts = texts_in("page.svg")
    assert f"{corpus.name}: 12 pieces, {corpus.frames} frames" in texts
    assert {"keys (pieces)", "metres (pieces)", "lengths (pieces)", corpus.pieces[0].name} <= set(texts)
    ran(invoke("show", corpus.directory, "-o", "short.svg", "--quarters", 2))
    assert f"{corpus.pieces[0].name}, the beginning" in texts_in("short.svg")
    ran(invoke("show", corpus.directory, corpus.directory, "-o", "rolls.svg"))
    assert texts_in("rolls.svg").count(corpus.directory.name) == 2


def test_written_music_is_shown(invoke: Invoke, tmp_path: Path) -> None:
    music21 = pytest.importorskip("music21")
    (tmp_path / "tunes.abc").write_text(TUNES)
    result = invoke("show", "tunes.abc", "--json")
    found = json.loads(ran(result))
    assert "tunes.abc: the first of 2 tunes" in result.stderr
    assert (found["kind"], found["reader"], found["metre"]) == ("notation", "music21", [3, 4])
    assert (found["quarters"], found["notes"], found["key_signature"]) == (12, 10, "G minor")
    music21.converter.parse(TUNES, format="abc").scores[1].write("musicxml", tmp_path / "two.musicxml")
    found = json.loads(ran(invoke("show", "two.musicxml", "--json")))
    assert (found["quarters"], found["notes"], found["metre"]) == (8, 5, [4, 4])


def test_written_music_is_rendered_and_continued(invoke: Invoke, tmp_path: Path, trained: Path) -> None:
    pytest.importorskip("music21")
    (tmp_path / "tunes.abc").write_text(TUNES)
    document = json.loads(ran(invoke("render", "tunes.abc", "--sample-rate", 8000, "--json")))
    assert document["file"] == "tunes.wav" and document["seconds"] > 3
    assert (
        ran(invoke("sample", trained, "--primer", "tunes.abc", "--frames", 4, "-o", "on.mid")) == "on.mid\n"
    )


def test_written_music_asks_for_music21(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "music21", None)
    (tmp_path / "tunes.abc").write_text(TUNES)
    result = invoke("show", "tunes.abc")
    assert result.exit_code == 1 and "expected music21 for written music" in result.output


def test_without_arguments_it_asks_for_the_prepared_chorales(invoke: Invoke) -> None:
    result = invoke("show")
    assert result.exit_code == 1
    assert (
        "data/prepared/chorales: expected a corpus (a folder that `musicrnn prepare` wrote)" in result.output
    )
