"""Score -> audio, by pretty_midi's synthesiser: sums of decaying sines, for a first impression of a sample.

Programs, pedals and drums are ignored; no sound fonts are needed.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicrnn.errors import RollError, UsageError
from musicrnn.files import whole_file
from musicrnn.music.midi import to_pretty_midi
from musicrnn.music.score import Score

MAX_SAMPLES = 3600 * 44100
"""Longest sound that is rendered: an hour at 44.1 kHz. Rendering it takes near 3 GB."""
PEAK = 0.9
HARMONICS = (1.0, 0.5, 0.25, 0.12, 0.06)
"""Amplitudes of the fundamental and the partials above it: rounder than a square, clearer than a sine."""


def render(score: Score, sample_rate: int = 44100) -> NDArray[np.float32]:
    """Synthesize a score.

    Args:
        score: The piece. Its drums are left out.
        sample_rate: Samples per second, 8,000 to 192,000.

    Returns:
        One channel (mono), as long as the score, with its peak at 0.9, shape (N,).

    Raises:
        RollError: The score has no notes but drums, or is too long.
        UsageError: The sample rate is out of range.
    """
    if not 8_000 <= sample_rate <= 192_000:
        raise UsageError(f"sample rate must be 8000 to 192000 per second, got {sample_rate}")
    if not len(score.pitched()):
        raise RollError("expected at least one note to render, drums apart, found none")
    length = int(np.ceil(duration(score) * sample_rate))
    if length > MAX_SAMPLES:
        most, found = MAX_SAMPLES // sample_rate, length / sample_rate
        raise RollError(f"expected at most {most} seconds of music to render, found {found:.0f}")
    try:
        instruments = to_pretty_midi(score).instruments
    except ValueError as error:  # ticks beyond its bound
        raise RollError(f"expected a score that pretty_midi can play: {error}") from error
    first, *others = [instrument for instrument in instruments if not instrument.is_drum]
    for other in others:  # one instrument needs only one buffer
        first.notes.extend(other.notes)
    sound = first.synthesize(fs=sample_rate, wave=_timbre)[:length]
    peak = max(float(sound.max(initial=0)), -float(sound.min(initial=0)))
    samples = np.zeros(max(1, length), np.float32)
    np.multiply(sound, PEAK / max(peak, 1e-12), out=samples[: len(sound)], casting="same_kind")
    return samples


def duration(score: Score) -> float:
    """Return the length of a score in seconds, at its tempos."""
    seconds, tick, quarters_per_minute = 0.0, 0, 120.0
    for tempo in sorted(score.tempos, key=lambda tempo: tempo.tick):
        until = min(tempo.tick, score.end)
        seconds += (until - tick) * 60 / (quarters_per_minute * score.ticks_per_quarter)
        tick, quarters_per_minute = until, tempo.quarters
    return seconds + (score.end - tick) * 60 / (quarters_per_minute * score.ticks_per_quarter)


def write_wav(samples: NDArray[np.floating[Any]], sample_rate: int, path: Path | str) -> None:
    """Write one channel of sound as a WAV file of 16-bit PCM, whole or not at all.

    Args:
        samples: Values from -1 to 1, others are clipped, shape (N,).
        sample_rate: Samples per second.
        path: The file.

    Raises:
        FileError: The file can't be written.
    """
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    with whole_file(Path(path)) as file, wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(pcm.tobytes())  # all at once, because a pipe can't seek back to correct the header


def _timbre(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the waveform of a note at each phase in radians, without partials above half the sample rate.

    The sum of a_k sin(k phase) is computed by Clenshaw's recurrence, from one sine and one cosine.
    """
    step = phase[1] - phase[0] if len(phase) > 1 else np.pi
    audible = [amplitude for number, amplitude in enumerate(HARMONICS, 1) if number * step < np.pi]
    twice_cosine = 2 * np.cos(phase)
    later, latest = np.zeros_like(phase), np.zeros_like(phase)
    for amplitude in reversed(audible):
        later, latest = latest, amplitude + twice_cosine * latest - later
    return np.asarray(latest * np.sin(phase))
