from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from musicrnn.checkpoint import load_model, new_model
from musicrnn.errors import MidiError, RollError, UsageError
from musicrnn.music import Layout, PianoRoll, to_score, write_midi
from musicrnn.nn import MusicRNN, NetworkSettings
from musicrnn.sampling import generate, generate_many, read_primer
from tests.conftest import LAYOUT


@pytest.fixture
def model(trained: Path) -> MusicRNN:
    return load_model(trained)


def memoryless(layout: Layout, probabilities: np.ndarray) -> MusicRNN:
    """A model that gives every frame the same probabilities, regardless of earlier frames."""
    model = new_model(NetworkSettings.of(hidden=2), layout.to_dict()).eval()
    torch.nn.init.zeros_(model.head.matrix)
    model.head.start_at(torch.from_numpy(probabilities))
    return model


def test_the_same_seed_gives_the_same_music_and_another_other_music(model: MusicRNN) -> None:
    assert generate(model, 50, seed=7) == generate(model, 50, seed=7) != generate(model, 50, seed=8)
    assert len(generate(model, 50)) == 50


def test_pieces_side_by_side_have_random_numbers_of_their_own(model: MusicRNN) -> None:
    first, second = generate_many(model, 50, [7, 8])
    assert first != second
    assert (first, second) == (generate(model, 50, seed=7), generate(model, 50, seed=8))


def test_every_frame_is_sampled_from_the_probabilities_that_the_frames_before_give(model: MusicRNN) -> None:
    roll, rng = generate(model, 30, seed=3), np.random.default_rng(3)
    inputs = torch.from_numpy(np.vstack([np.zeros((1, LAYOUT.width)), roll.frames[:-1]])).float()[None]
    with torch.no_grad():
        probabilities = model(inputs)[0].marginals()[0].numpy()
    uniforms = np.stack([np.tile(rng.random(LAYOUT.pitches, np.float32), 2) for _ in range(30)])
    assert PianoRoll((uniforms < probabilities).astype(np.uint8), LAYOUT) == roll


def test_cells_are_as_frequent_as_their_probabilities() -> None:
    layout = Layout(low=60, high=62, channels="frame")
    roll = generate(memoryless(layout, np.array([0.1, 0.5, 0.9])), 1500, seed=1)
    np.testing.assert_allclose(roll.frames.mean(0), [0.1, 0.5, 0.9], atol=0.04)


def test_onsets_do_not_double_the_notes_that_start() -> None:
    layout = Layout(low=60, high=60)
    roll = generate(memoryless(layout, np.array([0.3, 0.3])), 1500, seed=1)
    assert roll.sounding.mean() == pytest.approx(0.3, abs=0.04)


def test_temperature_moves_probabilities_towards_a_half_or_away() -> None:
    layout = Layout(low=60, high=60, channels="frame")
    model = memoryless(layout, np.array([0.2]))
    means = [generate(model, 1500, temperature).frames.mean() for temperature in (0.5, 1.0, 100.0)]
    np.testing.assert_allclose(means, [1 / 17, 0.2, 0.5], atol=0.04)


def test_a_threshold_leaves_nothing_to_chance() -> None:
    layout = Layout(low=60, high=62, channels="frame")
    model = memoryless(layout, np.array([0.1, 0.4, 0.9]))
    roll = generate(model, 5, threshold=0.4001)
    assert roll == generate(model, 5, threshold=0.4001, seed=9)
    assert roll.frames.tolist() == [[0, 0, 1]] * 5


def test_a_primer_is_continued_and_not_repeated(model: MusicRNN) -> None:
    whole = generate(model, 40, seed=5)
    primer = PianoRoll(whole.frames[:20], LAYOUT)
    with torch.no_grad():
        inputs = torch.from_numpy(np.vstack([np.zeros((1, 24)), primer.frames])).float()[None]
        marginals = model(inputs)[0].marginals()
    first = (marginals[0, -1] >= 0.5).numpy().astype(np.uint8)
    continued = generate(model, 1, threshold=0.5, primer=primer)
    assert continued.sounding[0].tolist() == (first[:12] | first[12:]).tolist()


def test_impossible_requests_are_refused(model: MusicRNN) -> None:
    with pytest.raises(UsageError, match="frames must be 1 to 262144, got 0"):
        generate(model, 0)
    with pytest.raises(UsageError, match="temperature must be above 0, got 0"):
        generate(model, 5, temperature=0)
    with pytest.raises(RollError, match="the primer must have the layout"):
        generate(model, 5, primer=PianoRoll(np.ones((1, 88), np.uint8), Layout(channels="frame")))


def test_primers_are_read_onto_the_grid_of_the_model(tmp_path: Path) -> None:
    roll = PianoRoll(np.eye(12, 24, dtype=np.uint8), LAYOUT)
    write_midi(to_score(roll, tempo=77), tmp_path / "p.mid")
    found, score = read_primer(tmp_path / "p.mid", LAYOUT, "p.mid")
    assert found == roll and score.main_tempo() == pytest.approx(77, abs=0.01)
    with pytest.raises(MidiError, match=r"p.mid: expected notes in 0:10, found none"):
        read_primer(tmp_path / "p.mid", Layout(low=0, high=10), "p.mid")
