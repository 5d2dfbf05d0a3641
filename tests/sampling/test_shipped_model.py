"""What the shipped model plays: neither silent, nor a drone, nor a machine gun."""

from __future__ import annotations

import pytest

from musicrnn.bundled import bundled
from musicrnn.checkpoint import load_model
from musicrnn.music import PianoRoll, midi_bytes, read_midi, to_pianoroll, to_score
from musicrnn.music.statistics import RollCounts
from musicrnn.sampling import generate_many

SEEDS = range(12)


@pytest.fixture(scope="module")
def samples() -> list[PianoRoll]:
    return generate_many(load_model(bundled("models/chorales-gru")), 256, SEEDS)


def test_most_samples_stay_music_to_the_end(samples: list[PianoRoll]) -> None:
    def is_music(roll: PianoRoll) -> bool:
        end = RollCounts(roll.layout, [PianoRoll(roll.frames[-128:], roll.layout)]).statistics()
        assert end.polyphony is not None
        return (
            end.empty_frame_rate < 0.2
            and end.longest_unchanged <= 4
            and 2 <= end.polyphony <= 6
            and 2 <= end.onsets_per_quarter <= 8
        )

    assert sum(map(is_music, samples)) >= len(SEEDS) - 1


def test_samples_are_like_the_chorales_in_number_of_voices_notes_and_keys(samples: list[PianoRoll]) -> None:
    found = RollCounts(samples[0].layout, samples).statistics()
    # the chorales: 3.9 voices, 4.2 onsets per quarter, 0.93 in one scale
    assert found.polyphony == pytest.approx(3.9, abs=0.6)
    assert found.onsets_per_quarter == pytest.approx(4.2, abs=1.5)
    assert found.scale_consistency is not None and found.scale_consistency > 0.82
    assert found.unique_pitches > 30


def test_repeated_notes_stay_apart_in_the_file(samples: list[PianoRoll]) -> None:
    roll = samples[0]
    assert to_pianoroll(read_midi(midi_bytes(to_score(roll)))) == roll
    repeats = (roll.onsets[1:] & roll.sounding[1:] & roll.sounding[:-1]).sum()
    assert repeats > 0 and read_midi(midi_bytes(to_score(roll))).note_count == roll.onsets.sum()
