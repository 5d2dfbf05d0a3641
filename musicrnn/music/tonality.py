"""Key finding: the durations of pitch classes are correlated with the probe-tone profiles of all 24 keys.

References:
    Krumhansl and Kessler 1982, Psychological Review 89(4), 334-368: the profiles.
    Krumhansl 1990, Cognitive Foundations of Musical Pitch, chapter 4: the algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from musicrnn.errors import RollError
from musicrnn.music.score import Key, Score, key_name

MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
"""How well each pitch class, from the tonic up, fits a major key: listeners' ratings, 1 to 7."""
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""The same for a minor key."""

_KEY_PROFILES = np.array([np.roll(mode, n) for mode in (MAJOR_PROFILE, MINOR_PROFILE) for n in range(12)])
"""The profiles of the 24 keys, centred and of length one, major before minor, shape (24, 12)."""
_KEY_PROFILES -= _KEY_PROFILES.mean(axis=1, keepdims=True)
_KEY_PROFILES /= np.linalg.norm(_KEY_PROFILES, axis=1, keepdims=True)

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class TonalKey:
    """A major or minor key.

    Attributes:
        tonic: Pitch class of the tonic, 0 (C) to 11 (B).
        minor: True for minor.
        correlation: Pearson correlation of the music's pitch classes with the key's profile.
    """

    tonic: int
    minor: bool
    correlation: float = 1.0

    @property
    def sharps(self) -> int:
        """Sharps of the key signature, negative for flats: F# major has 6, Eb minor -6."""
        sharps = (7 * (self.tonic + (3 if self.minor else 0)) + 5) % 12 - 5
        return -6 if sharps == 6 and self.minor else sharps

    @property
    def name(self) -> str:
        """Name as text: ``G minor``, ``Bb major``."""
        tonic = key_name(self.sharps, self.minor).removesuffix("m")
        return f"{tonic} {'minor' if self.minor else 'major'}"


def pitch_name(pitch: int) -> str:
    """Return the name of a MIDI pitch, with sharps: 60 is ``C4``, 70 is ``A#4``."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def pitch_class_histogram(score: Score) -> NDArray[np.float64]:
    """Return how many quarter notes each pitch class sounds, drums left out, shape (12,), from C to B."""
    notes = score.pitched()
    durations = (notes["end"] - notes["start"]) / score.ticks_per_quarter
    return np.asarray(np.bincount(notes["pitch"] % 12, weights=durations, minlength=12), np.float64)


def find_key(music: Score | ArrayLike) -> TonalKey | None:
    """Find the key that the pitch classes fit best.

    Args:
        music: A score, or a histogram of pitch classes, shape (12,), from C to B.

    Returns:
        The key, or None if nothing sounds or all pitch classes sound equally long. Among keys that fit
        equally well it is a major one before a minor one, then the one with the lowest tonic.

    Raises:
        RollError: The histogram has another shape.
    """
    histogram = pitch_class_histogram(music) if isinstance(music, Score) else np.asarray(music, np.float64)
    if histogram.shape != (12,):
        raise RollError(f"a pitch-class histogram must have shape (12,), got {histogram.shape}")
    deviation = histogram - histogram.mean()
    size = np.linalg.norm(deviation)
    if not size > 1e-9 * histogram.sum():
        return None
    correlations = _KEY_PROFILES @ (deviation / size)
    best = int(np.argmax(correlations.round(9)))
    return TonalKey(best % 12, best >= 12, float(correlations[best]))


def key_of_signature(key: Key) -> TonalKey:
    """Return the key that a key signature names."""
    return TonalKey((7 * key.sharps + (9 if key.minor else 0)) % 12, key.minor)


def semitones_to_c(key: TonalKey) -> int:
    """Return the smallest move, -5 to 6 semitones, that brings ``key`` to C major or C minor."""
    return (5 - key.tonic) % 12 - 5
