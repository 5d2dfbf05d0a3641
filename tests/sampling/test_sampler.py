"""Sampling sessions: conditioning, fixed cells, copies of streams, and both implementations alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from musicrnn.checkpoint import load_model, new_model
from musicrnn.errors import ModelError, UsageError
from musicrnn.music import PianoRoll
from musicrnn.nn import MusicRNN, NetworkSettings
from musicrnn.sampling import Sampler, SamplingSettings
from tests.conftest import LAYOUT

WIDTH, PITCHES = LAYOUT.width, LAYOUT.pitches


@pytest.fixture
def model(trained: Path) -> MusicRNN:
    return load_model(trained)


def made(**options: Any) -> MusicRNN:
    torch.manual_seed(0)
    model = new_model(NetworkSettings.of(hidden=8, **options), LAYOUT.to_dict()).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def noise(streams: int, frames: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((streams, frames, PITCHES), np.float32)


STRUCTURES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"tied": True}, True),
    ({"embedding": 5, "layers": 2}, True),
    ({"cell": "lstm", "layers": 2}, True),
    ({"connections": "residual", "layers": 2}, False),
    ({"connections": "skip", "layers": 2}, False),
    ({"layer_norm": True}, False),
    ({"clock": "4"}, False),
    ({"attention": 2}, False),
    ({"pitchwise": 3}, False),
]


@pytest.mark.parametrize(("options", "compiled"), STRUCTURES)
def test_both_implementations_give_the_same_frames(
    options: dict[str, Any], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, numbers = made(**options), noise(1, 40)
    sampler = Sampler(model)
    frames = sampler.next(numbers)
    assert (sampler._compiled is not None) == compiled and frames.any()
    monkeypatch.setattr(type(model), "compiled_generator", lambda *_: None)
    np.testing.assert_array_equal(Sampler(model).next(numbers), frames)


@pytest.mark.parametrize(("options", "compiled"), STRUCTURES)
def test_frames_one_by_one_are_those_at_once(options: dict[str, Any], compiled: bool) -> None:
    model, numbers = made(**options), noise(2, 24)
    whole = Sampler(model).fork(2).next(numbers)
    sampler = Sampler(model).fork(2)
    parts = [sampler.next(numbers[:, t : t + 1]) for t in range(10)]
    parts.append(sampler.next(numbers[:, 10:]))
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)


def test_feeding_what_was_sampled_leads_to_the_same_continuation(model: MusicRNN) -> None:
    numbers = noise(1, 30)
    whole = Sampler(model).next(numbers)
    sampler = Sampler(model)
    sampler.feed(whole[0, :7])
    sampler.feed(whole[:, 7:20])
    np.testing.assert_array_equal(sampler.next(numbers[:, 20:]), whole[:, 20:])


def test_the_compiled_state_is_handed_back(model: MusicRNN) -> None:
    numbers, free = noise(1, 30), np.full((1, 10, WIDTH), -1, np.int8)
    whole = Sampler(model).next(numbers)
    sampler = Sampler(model)
    first = sampler.next(numbers[:, :10])
    second = sampler.next(numbers[:, 10:20], free)  # step by step, since cells might be fixed
    third = sampler.next(numbers[:, 20:])
    np.testing.assert_array_equal(np.concatenate([first, second, third], 1), whole)


def test_forks_and_selections_are_independent_copies(model: MusicRNN) -> None:
    numbers = noise(3, 20)
    sampler = Sampler(model).fork(3)
    sampler.next(numbers)
    chosen = sampler.select(np.array([2, 0, 2]))
    later = noise(3, 10, seed=1)
    expected = sampler.fork(1).next(later[[0, 1, 2]])
    found = chosen.next(later[[2, 0, 2]])
    assert chosen.streams == 3
    np.testing.assert_array_equal(found[1], expected[0])
    np.testing.assert_array_equal(found[0], expected[2])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(sampler.next(later), expected)


@pytest.mark.parametrize("options", [{}, {"pitchwise": 3}])
def test_fixed_cells_are_kept_and_the_music_still_means_notes(options: dict[str, Any]) -> None:
    model, given = made(**options), np.full((2, 30, WIDTH), -1, np.int8)
    rng = np.random.default_rng(5)
    kept = PianoRoll(rng.integers(0, 2, (30, WIDTH)).astype(np.uint8), LAYOUT).frames
    for part in (slice(3, 6), slice(PITCHES + 3, PITCHES + 6)):  # both channels of three pitches
        given[:, :, part] = kept[:, part]
    given[:, :, 9] = 0  # silent; its onsets are left open
    frames = Sampler(model).fork(2).next(noise(2, 30), given)
    np.testing.assert_array_equal(frames[given >= 0], given[given >= 0])
    assert not frames[:, :, PITCHES + 9].any()
    for piece in frames:
        np.testing.assert_array_equal(PianoRoll(piece, LAYOUT).frames, piece)


def test_a_fixed_onset_sounds_and_no_onset_never_starts_a_note(model: MusicRNN) -> None:
    given = np.full((1, 20, WIDTH), -1, np.int8)
    given[0, :, PITCHES] = 1
    given[0, :, PITCHES + 1] = 0
    frames = Sampler(model).next(noise(1, 20), given)
    assert frames[0, :, 0].all() and frames[0, :, PITCHES].all()
    assert not frames[0, :, 1].any() and not frames[0, :, PITCHES + 1].any()


def test_a_threshold_ignores_the_noise(model: MusicRNN) -> None:
    settings = SamplingSettings(threshold=0.3)
    first, second = (Sampler(model, settings).next(noise(1, 12, seed)) for seed in (1, 2))
    np.testing.assert_array_equal(first, second)


def test_wrong_shapes_and_settings_are_refused(model: MusicRNN) -> None:
    sampler = Sampler(model).fork(2)
    with pytest.raises(
        ValueError, match=r"frames must have shape \(2, T, 24\) \(B, T, D\), got \(3, 4, 24\)"
    ):
        sampler.feed(np.zeros((3, 4, 24), np.uint8))
    with pytest.raises(ValueError, match=r"noise must have shape \(2, 4, 12\), got \(2, 4, 11\)"):
        sampler.next(np.zeros((2, 4, 11), np.float32))
    with pytest.raises(ValueError, match=r"given must have shape \(2, 4, 24\), got \(2, 3, 24\)"):
        sampler.next(noise(2, 4), np.zeros((2, 3, 24), np.int8))
    with pytest.raises(UsageError, match="threshold must be between 0 and 1, got 1"):
        SamplingSettings(threshold=1)
    with pytest.raises(ModelError, match="expected a model that says what its frames mean"):
        Sampler(MusicRNN(NetworkSettings(), 24))
