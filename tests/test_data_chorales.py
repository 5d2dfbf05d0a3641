"""The bundled chorales: readable, in four voices, and as ``data/build_chorales.py`` writes them."""

import hashlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from musicrnn.music import midi_bytes, read_midi

DATA = Path(__file__).parents[1] / "data"
PIECES = 384
NOTES = 90_038
VOICES = ("Soprano", "Alto", "Tenor", "Bass")
RANGES = {"Soprano": (57, 81), "Alto": (53, 74), "Tenor": (48, 69), "Bass": (36, 64)}


@pytest.fixture(scope="module")
def files():
    return sorted((DATA / "chorales").iterdir())


@pytest.fixture(scope="module")
def scores(files):
    return {path.stem: read_midi(path) for path in files}


def test_number_and_size(files):
    assert len(files) == PIECES
    assert all(re.fullmatch(r"bwv\d+[a-z0-9.-]*\.mid", path.name) for path in files)
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_the_readme_contains_the_checksum(files):
    whole = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    assert whole in (DATA / "README.md").read_text(encoding="utf-8")


def test_four_named_voices_on_one_instrument(scores):
    for name, score in scores.items():
        assert tuple(track.name for track in score.tracks) == VOICES, name
        assert {(track.program, track.is_drum) for track in score.tracks} == {(19, False)}, name


def test_one_tempo_one_key_and_a_metre(scores):
    for name, score in scores.items():
        assert [tempo.tick for tempo in score.tempos] == [0], name
        assert 60 <= score.tempos[0].quarters <= 180, name
        assert [key.tick for key in score.keys] == [0], name
        assert score.metres[0].tick == 0, name
    assert sum(len(score.metres) > 1 for score in scores.values()) == 3


@pytest.mark.parametrize("voice", VOICES)
def test_each_voice_keeps_its_range(scores, voice):
    pitches = np.concatenate([score.tracks[VOICES.index(voice)].notes["pitch"] for score in scores.values()])
    assert (pitches.min(), pitches.max()) == RANGES[voice]


def test_voices_have_one_note_at_a_time(scores):
    for name, score in scores.items():
        for track in score.tracks:
            assert (track.notes["start"][1:] >= track.notes["end"][:-1]).all(), f"{name}, {track.name}"


def test_music_starts_at_tick_0_and_is_rarely_silent(scores):
    for name, score in scores.items():
        sounds = np.zeros(score.end, bool)
        for start, end in score.pitched()[["start", "end"]].tolist():
            sounds[start:end] = True
        assert sounds[0], name
        assert sounds.mean() > 0.75, name


def test_notes_lie_on_the_grid_of_sixteenths(scores):
    notes = [(score.pitched(), score.ticks_per_quarter) for score in scores.values()]
    assert sum(len(part) for part, _ in notes) == NOTES
    off = sum(int(((p["start"] % (t // 4) > 0) | (p["end"] % (t // 4) > 0)).sum()) for p, t in notes)
    assert off == 14  # ornaments in 32nd notes


def test_no_piece_is_another_transposed(scores):
    seen = {}
    for name, score in scores.items():
        notes = score.pitched()
        shape = (notes["start"].tobytes(), (notes["pitch"].astype(int) - notes["pitch"][0]).tobytes())
        assert seen.setdefault(shape, name) == name


@pytest.mark.parametrize(
    ("name", "metres", "key", "quarters"),
    [
        ("bwv269", [(0, 3, 4)], (1, False), 63),  # a pickup of one quarter: 21 bars of 3/4
        ("bwv304", [(0, 4, 4), (32, 3, 4)], (2, False), 81),
        ("bwv4.8", [(0, 4, 4)], (0, True), 48),  # the source's soprano has a sharp that no other part has
    ],
)
def test_known_pieces(scores, name, metres, key, quarters):
    score = scores[name]
    found = [(m.tick / score.ticks_per_quarter, m.numerator, m.denominator) for m in score.metres]
    assert found == metres
    assert (score.keys[0].sharps, score.keys[0].minor) == key
    assert score.quarters == quarters


def test_first_bar_of_bwv269(scores):
    soprano = scores["bwv269"].tracks[0].notes
    quarters = [
        (start / 24, end / 24, pitch) for start, end, pitch in soprano[["start", "end", "pitch"]][:5].tolist()
    ]
    assert quarters == [(0, 1, 67), (1, 3, 67), (3, 4, 74), (4, 5.5, 71), (5.5, 6, 69)]


@pytest.mark.parametrize("name", ["bwv269", "bwv41.6", "bwv56.5"])
def test_rebuilding_gives_the_same_bytes(name):
    pytest.importorskip("music21", reason="music21 is needed only to rebuild the chorales")
    spec = importlib.util.spec_from_file_location("build_chorales", DATA / "build_chorales.py")
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    source = next(path for path in builder.sources() if path.stem == name)
    assert midi_bytes(builder.read_chorale(source)) == (DATA / "chorales" / f"{name}.mid").read_bytes()
