"""Whole pieces: a loop over a sampling session."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from musicrnn.errors import RollError, UsageError
from musicrnn.music import PianoRoll
from musicrnn.nn import MusicRNN
from musicrnn.sampling.sampler import DEFAULT, Sampler, SamplingSettings

MAX_FRAMES = 2**18

CHUNK = 2**22
"""Random numbers that are generated together."""


def generate(
    model: MusicRNN,
    frames: int,
    temperature: float = 1.0,
    seed: int = 0,
    *,
    threshold: float | None = None,
    primer: PianoRoll | None = None,
) -> PianoRoll:
    """Sample a new piece.

    Args:
        model: The network.
        frames: Length of the new music, primer not counted.
        temperature: Divides the log-odds: below 1 safer, above 1 more random.
        seed: Seeds the random numbers.
        threshold: If given, there is no randomness: every cell with at least this probability sounds.
        primer: Music that the model continues; it is not part of the result.

    Returns:
        The new music, of ``frames`` frames.

    Raises:
        ModelError: The model doesn't say what its frames mean.
        RollError: The primer has another layout than the model.
        UsageError: A number is out of its range.
    """
    return generate_many(model, frames, [seed], SamplingSettings(temperature, threshold), primer)[0]


def generate_many(
    model: MusicRNN,
    frames: int,
    seeds: Sequence[int],
    settings: SamplingSettings = DEFAULT,
    primer: PianoRoll | None = None,
    progress: Callable[[int], None] = lambda frames: None,
) -> list[PianoRoll]:
    """Sample one piece for every seed, in one batch, each from its own random numbers.

    Args:
        model: The network.
        frames: Length of each piece, primer not counted.
        seeds: Seeds of the pieces.
        settings: How frames are sampled.
        primer: Music that the model continues; it is not part of the results.
        progress: Called now and then with the number of frames done.

    Returns:
        A roll of ``frames`` frames for every seed.

    Raises:
        As ``generate``.
    """
    if not 1 <= frames <= MAX_FRAMES:
        raise UsageError(f"frames must be 1 to {MAX_FRAMES}, got {frames}")
    sampler = Sampler(model, settings)
    layout = sampler.layout
    if primer is not None and primer.layout != layout:
        raise RollError(f"the primer must have the layout {layout}, as the model, got {primer.layout}")
    sampler.feed(np.zeros((0, layout.width), np.uint8) if primer is None else primer.frames)
    sampler = sampler.fork(len(seeds))
    sources = [np.random.default_rng(seed) for seed in seeds]
    parts = []
    chunk = max(1, CHUNK // (len(seeds) * sampler.noise_size))
    for start in range(0, frames, chunk):
        count = min(chunk, frames - start)
        noise = np.stack([source.random((count, sampler.noise_size), np.float32) for source in sources])
        parts.append(sampler.next(noise))
        progress(start + count)
    rolls = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return [PianoRoll(roll, layout) for roll in rolls]
