"""A score sounds at its pitches and for its length, and too much of it is refused beforehand."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest

from musicrnn.errors import FileError, RollError, UsageError
from musicrnn.music import render as rendering
from musicrnn.music.render import PEAK, duration, render, write_wav
from musicrnn.music.score import NOTE, Score, Tempo, Track

RATE = 8000


def track_of(*notes: tuple[int, int, int], is_drum: bool = False) -> Track:
    """A track of (start, end, pitch)."""
    return Track(np.array([(*note, 80) for note in notes], NOTE), is_drum=is_drum)


def score_of(*notes: tuple[int, int, int], **facts: object) -> Score:
    """A score at 480 ticks per quarter note: 960 ticks are a second unless a tempo says otherwise."""
    return Score(480, (track_of(*notes),), **facts)


def level(samples: np.ndarray, frequency: float, rate: int = RATE) -> float:
    """Amplitude of one frequency in a sound."""
    phase = 2j * np.pi * frequency * np.arange(len(samples)) / rate
    return 2 * abs(np.mean(samples * np.exp(phase)))


def test_a4_sounds_at_440_hertz_with_its_partials() -> None:
    samples = render(score_of((0, 960, 69)), RATE)
    partials = [level(samples, 440 * number) for number in range(1, 6)]
    assert partials == sorted(partials, reverse=True)
    assert partials[0] > 0.2 > 0.05 > partials[3] > 0.005
    assert level(samples, 660) < 0.005


def test_one_channel_of_float32_with_its_peak_at_nine_tenths() -> None:
    samples = render(score_of((0, 960, 60), (0, 960, 64), (480, 960, 67)), RATE)
    assert (samples.dtype, samples.ndim) == (np.float32, 1)
    assert np.abs(samples).max() == pytest.approx(PEAK)


def test_as_long_as_the_score_silence_included() -> None:
    samples = render(score_of((480, 960, 60), end=1440), RATE)
    assert len(samples) == 12_000
    assert not samples[:4000].any() and not samples[8000:].any()
    assert samples[4000:8000].any()


def test_same_score_same_sound() -> None:
    score = score_of((0, 960, 60), (480, 960, 64))
    assert np.array_equal(render(score, RATE), render(score, RATE))


def test_every_track_sounds_but_the_drums() -> None:
    score = Score(480, (track_of((0, 480, 38), is_drum=True), track_of((0, 960, 57)), track_of((0, 960, 64))))
    samples = render(score, RATE)
    assert level(samples, 220) > 0.1 and level(samples, 329.63) > 0.1
    without_drums = render(Score(480, score.tracks[1:]), RATE)
    assert np.array_equal(samples, without_drums)


def test_partials_above_half_the_sample_rate_are_left_out() -> None:
    samples = render(score_of((0, 960, 96)), RATE)  # 2093 Hz; the second partial would fold to 3814 Hz
    assert level(samples, 8000 - 2 * 2093.0045) < 1e-3
    assert level(samples, 2093.0045) > 0.2


def test_a_pitch_above_half_the_sample_rate_is_silence() -> None:
    assert not render(score_of((0, 960, 120)), RATE).any()


def test_duration_follows_the_tempo() -> None:
    assert duration(score_of((0, 960, 60))) == 1.0
    assert duration(score_of((0, 960, 60), tempos=(Tempo(0, 60.0), Tempo(480, 240.0)))) == 1.25
    assert duration(score_of((0, 960, 60), tempos=(Tempo(480, 60.0),))) == 1.5
    assert duration(score_of((0, 960, 60), tempos=(Tempo(5000, 60.0),))) == 1.0
    assert duration(Score(480, ())) == 0.0


def test_the_sound_follows_the_tempo() -> None:
    assert len(render(score_of((0, 960, 60), tempos=(Tempo(0, 60.0), Tempo(480, 240.0))), RATE)) == 10_000


@pytest.mark.parametrize(
    "score", [Score(480, (), end=960), Score(480, (track_of((0, 480, 38), is_drum=True),))]
)
def test_refuses_a_score_without_sounding_notes(score: Score) -> None:
    with pytest.raises(RollError, match="at least one note to render"):
        render(score)


def test_refuses_hours_before_it_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "to_pretty_midi", lambda *_: pytest.fail("began to render"))
    with pytest.raises(RollError, match="at most 3600 seconds of music to render, found 7200"):
        render(score_of((0, 7200 * 960, 60)), 44_100)


def test_refuses_more_ticks_than_pretty_midi_takes() -> None:
    with pytest.raises(RollError, match="that pretty_midi can play"):
        render(score_of((0, 20_000_000, 60), tempos=(Tempo(0, 60_000.0),)), RATE)


@pytest.mark.parametrize("rate", [0, 7999, 192_001])
def test_refuses_invalid_sample_rates(rate: int) -> None:
    with pytest.raises(UsageError, match=f"8000 to 192000 per second, got {rate}"):
        render(score_of((0, 960, 60)), rate)


def test_a_note_shorter_than_a_sample() -> None:
    assert len(render(score_of((0, 1, 60), tempos=(Tempo(0, 60_000.0),)), RATE)) == 1


def test_wav_holds_16_bit_samples(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sound.wav"
    write_wav(np.array([0.0, 0.5, -0.5, 1.0, -1.0, 7.0, -7.0], np.float32), RATE, path)
    with wave.open(str(path)) as reader:
        assert reader.getparams()[:4] == (1, 2, RATE, 7)
        values = np.frombuffer(reader.readframes(7), "<i2").tolist()
    assert values == [0, 16384, -16384, 32767, -32767, 32767, -32767]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_wav_into_a_pipe_has_the_right_header(tmp_path: Path) -> None:
    samples = np.linspace(-1, 1, 100)
    write_wav(samples, RATE, tmp_path / "sound.wav")
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        write_wav(samples, RATE, Path(f"/dev/fd/{writing}"))
        os.close(writing)
        assert pipe.read() == (tmp_path / "sound.wav").read_bytes()


def test_a_failing_write_leaves_the_old_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("musicrnn.files.os.fsync", full)
    with pytest.raises(FileError, match="No space left"):
        write_wav(np.zeros(10), RATE, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
