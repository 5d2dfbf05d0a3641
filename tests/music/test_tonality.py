"""Keys are found where the theory says, and move with the music."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicrnn.errors import RollError
from musicrnn.music.score import NOTE, Key, Score, Track
from musicrnn.music.tonality import (
    MAJOR_PROFILE,
    MINOR_PROFILE,
    TonalKey,
    find_key,
    key_of_signature,
    pitch_class_histogram,
    pitch_name,
    semitones_to_c,
)

MAJOR_NAMES = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
MINOR_NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"]
G_MINOR_TUNE = [(55, 4), (58, 2), (62, 3), (60, 1), (57, 1), (54, 1), (55, 4)]
"""Pitches and lengths in quarter notes."""


def tune(notes: list[tuple[int, int]], *others: Track, keys: tuple[Key, ...] = ()) -> Score:
    """A score of (pitch, quarter notes) one after another, at 480 ticks per quarter note."""
    ends = 480 * np.cumsum([length for _, length in notes])
    rows = [(end - 480 * length, end, pitch, 80) for end, (pitch, length) in zip(ends, notes, strict=True)]
    return Score(480, (Track(np.array(rows, NOTE)), *others), keys=keys)


def moved(notes: list[tuple[int, int]], semitones: int) -> Score:
    return tune([(pitch + semitones, length) for pitch, length in notes])


def drums(pitch: int = 36) -> Track:
    return Track(np.array([(0, 48_000, pitch, 127)], NOTE), is_drum=True)


def test_histogram_counts_quarter_notes_and_no_drums() -> None:
    score = tune([(60, 1), (72, 2), (67, 3), (71, 1)], drums())
    assert pitch_class_histogram(score).tolist() == [3, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]


def test_histogram_of_nothing_is_zero() -> None:
    assert pitch_class_histogram(Score(480, (), end=480)).tolist() == [0] * 12


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("profile", "minor"), [(MAJOR_PROFILE, False), (MINOR_PROFILE, True)])
def test_each_profile_is_its_own_key(profile: tuple[float, ...], minor: bool, tonic: int) -> None:
    key = find_key(7 * np.roll(profile, tonic))
    assert (key.tonic, key.minor) == (tonic, minor)
    assert key.correlation == pytest.approx(1)


def test_profiles_are_the_published_ratings() -> None:
    assert (sum(MAJOR_PROFILE), sum(MINOR_PROFILE)) == pytest.approx((41.79, 44.51))


def test_finds_the_key_of_a_tune_for_all_the_drums() -> None:
    assert find_key(tune(G_MINOR_TUNE, drums(pitch=37))).name == "G minor"


def test_correlation_is_pearsons() -> None:
    histogram = pitch_class_histogram(tune(G_MINOR_TUNE))
    expected = np.corrcoef(histogram, np.roll(MINOR_PROFILE, 7))[0, 1]
    assert find_key(histogram).correlation == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=12, max_size=12).filter(lambda h: max(h) > min(h)))
def test_found_key_correlates_best_of_all_24(histogram: list[int]) -> None:
    profiles = [np.roll(profile, tonic) for profile in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)]
    best = max(np.corrcoef(histogram, profile)[0, 1] for profile in profiles)
    key = find_key(histogram)
    assert key.correlation == pytest.approx(best)
    own = np.roll(MINOR_PROFILE if key.minor else MAJOR_PROFILE, key.tonic)
    assert np.corrcoef(histogram, own)[0, 1] == pytest.approx(best)


@settings(max_examples=40, deadline=None)
@given(st.integers(-40, 60))
def test_the_key_moves_with_the_music(semitones: int) -> None:
    before = find_key(tune(G_MINOR_TUNE))
    after = find_key(moved(G_MINOR_TUNE, semitones))
    assert (after.tonic, after.minor) == ((before.tonic + semitones) % 12, before.minor)
    assert after.correlation == pytest.approx(before.correlation)


@pytest.mark.parametrize("music", [np.zeros(12), np.full(12, 0.1), Score(480, (drums(),))])
def test_no_key_without_pitch_classes_that_differ(music: object) -> None:
    assert find_key(music) is None


def test_names_of_the_24_keys() -> None:
    assert [TonalKey(tonic, False).name for tonic in range(12)] == [f"{name} major" for name in MAJOR_NAMES]
    assert [TonalKey(tonic, True).name for tonic in range(12)] == [f"{name} minor" for name in MINOR_NAMES]


@pytest.mark.parametrize(("pitch", "name"), [(60, "C4"), (70, "A#4"), (0, "C-1"), (127, "G9"), (21, "A0")])
def test_pitch_names(pitch: int, name: str) -> None:
    assert pitch_name(pitch) == name


def test_the_nearest_way_to_c() -> None:
    nearest = [0, -1, -2, -3, -4, -5, 6, 5, 4, 3, 2, 1]
    assert [semitones_to_c(TonalKey(tonic, minor=False)) for tonic in range(12)] == nearest
    assert [semitones_to_c(TonalKey(tonic, minor=True)) for tonic in range(12)] == nearest


def test_a_piece_goes_to_c() -> None:
    key = find_key(tune(G_MINOR_TUNE))
    assert find_key(moved(G_MINOR_TUNE, semitones_to_c(key))).name == "C minor"


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("sharps", range(-7, 8))
def test_a_signature_names_the_key_that_has_it(sharps: int, minor: bool) -> None:
    key = key_of_signature(Key(0, sharps, minor))
    assert (key.minor, (7 * (key.tonic + 3 * minor) - sharps) % 12) == (minor, 0)
    assert key.sharps in (sharps, sharps - 12, sharps + 12)


@pytest.mark.parametrize(
    ("sharps", "minor", "name", "semitones"),
    [(0, False, "C major", 0), (0, True, "A minor", 3), (-3, True, "C minor", 0), (1, False, "G major", 5)],
)
def test_signatures_that_everyone_knows(sharps: int, minor: bool, name: str, semitones: int) -> None:
    key = key_of_signature(Key(0, sharps, minor))
    assert (key.name, semitones_to_c(key)) == (name, semitones)


def test_a_histogram_of_another_shape_is_refused() -> None:
    with pytest.raises(RollError, match=r"must have shape \(12,\), got \(11,\)"):
        find_key(np.ones(11))
