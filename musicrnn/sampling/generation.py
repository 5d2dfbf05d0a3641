"""Drawing new music: frame -> network -> probabilities -> draw -> frame.

A pitch has one random number per frame, shared by its channels. So every cell has exactly the probability
that the model gives it, and an onset that is less probable than its sounding note is only drawn together
with it: with a number for each, a new note would start twice as often as the model says, because a drawn
onset whose frame bit is off counts as sounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicrnn.errors import ModelError, RollError, UsageError
from musicrnn.music import Layout, PianoRoll
from musicrnn.nn import MusicRNN
from musicrnn.nn.model import Step

if TYPE_CHECKING:
    from musicrnn.ops.kernels.generator import CompiledGenerator

MAX_FRAMES = 2**18

CHUNK = 2**22
"""Random numbers that are drawn together."""


@dataclass(frozen=True)
class Drawing:
    """How frames are drawn.

    Attributes:
        temperature: Divides the log-odds: below one bolder, above one wilder.
        threshold: If given, nothing is drawn: a cell sounds where its probability reaches it.
    """

    temperature: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"temperature must be above 0, got {self.temperature}")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UsageError(f"threshold must be between 0 and 1, got {self.threshold}")


def generate(
    model: MusicRNN,
    frames: int,
    temperature: float = 1.0,
    seed: int = 0,
    *,
    threshold: float | None = None,
    primer: PianoRoll | None = None,
) -> PianoRoll:
    """Draw a new piece.

    Args:
        model: The network.
        frames: Length of the new music, primer not counted.
        temperature: Divides the log-odds: below one bolder, above one wilder.
        seed: Seeds the random numbers.
        threshold: If given, nothing is drawn: a cell sounds where its probability reaches it.
        primer: Music that the model hears first; it is not part of the result.

    Returns:
        The new music, of ``frames`` frames.

    Raises:
        ModelError: The model doesn't say what its frames mean.
        RollError: The primer has another layout than the model.
        UsageError: A number is out of its range.
    """
    return generate_many(model, frames, [seed], Drawing(temperature, threshold), primer)[0]


def generate_many(
    model: MusicRNN,
    frames: int,
    seeds: Sequence[int],
    drawing: Drawing = Drawing(),
    primer: PianoRoll | None = None,
    progress: Callable[[int], None] = lambda frames: None,
) -> list[PianoRoll]:
    """Draw one piece for every seed, side by side, each from random numbers of its own.

    Args:
        model: The network.
        frames: Length of each piece, primer not counted.
        seeds: Seeds of the pieces.
        drawing: How frames are drawn.
        primer: Music that the model hears first; it is not part of the results.
        progress: Is told now and then how many frames are done.

    Returns:
        A roll of ``frames`` frames for every seed.

    Raises:
        As ``generate``.
    """
    if not 1 <= frames <= MAX_FRAMES:
        raise UsageError(f"frames must be 1 to {MAX_FRAMES}, got {frames}")
    layout = layout_of(model)
    if primer is not None and primer.layout != layout:
        raise RollError(f"the primer must have the layout {layout}, as the model, got {primer.layout}")
    sources = [np.random.default_rng(seed) for seed in seeds]
    rolls = np.zeros((len(seeds), frames, layout.width), np.uint8)
    before = np.zeros((len(seeds), layout.width), np.uint8)
    if primer is not None:
        before[:] = primer.frames[-1]
    model.eval()
    with torch.inference_mode():
        step = _hear(model, primer, len(seeds))
        generator = model.compiled_generator(step.state, torch.from_numpy(before), layout.pitches)
        draw = _steps(model, step, before, layout) if generator is None else _compiled(generator)
        chunk = max(1, CHUNK // (len(seeds) * layout.pitches))
        for start in range(0, frames, chunk):
            count = min(chunk, frames - start)
            uniforms = np.stack([source.random((count, layout.pitches), np.float32) for source in sources])
            draw(uniforms, rolls[:, start : start + count], drawing)
            progress(start + count)
    return [PianoRoll(roll, layout) for roll in rolls]


def layout_of(model: MusicRNN) -> Layout:
    """Return what the frames of a model mean.

    Raises:
        ModelError: The model doesn't say.
    """
    try:
        return Layout.from_dict(model.data)
    except (KeyError, TypeError, ValueError, RollError) as error:
        raise ModelError(f"expected a model that says what its frames mean, found {model.data}") from error


def _hear(model: MusicRNN, primer: PianoRoll | None, count: int) -> Step:
    """Let the model hear a zero frame, then the primer; return its prediction of what follows."""
    heard: Tensor = torch.zeros(1, 1, model.config.input_size)
    if primer is not None:
        heard = torch.cat([heard, torch.from_numpy(primer.frames).float()[None]], dim=1)
    parameters, state = model(heard)
    return Step(
        parameters[:, -1].repeat(count, 1),
        [tuple(tensor.repeat_interleave(count, 0) for tensor in layer) for layer in state],
    )


_Draw = Callable[[NDArray[np.float32], NDArray[np.uint8], Drawing], None]
"""Draws the next frames of all pieces: random numbers (B, N, pitches), where the frames go (B, N, D)."""


def _compiled(generator: CompiledGenerator) -> _Draw:
    """Return a function that draws by a kernel."""

    def draw(uniforms: NDArray[np.float32], rolls: NDArray[np.uint8], drawing: Drawing) -> None:
        threshold = 0.0 if drawing.threshold is None else drawing.threshold
        generator.sample(torch.from_numpy(uniforms), torch.from_numpy(rolls), drawing.temperature, threshold)

    return draw


def _steps(model: MusicRNN, step: Step, before: NDArray[np.uint8], layout: Layout) -> _Draw:
    """Return a function that draws step by step: the reference, and the way of heads that have no kernel."""

    def draw(uniforms: NDArray[np.float32], rolls: NDArray[np.uint8], drawing: Drawing) -> None:
        nonlocal step, before
        for t in range(rolls.shape[1]):
            before = _canonical(_frame(model, step, uniforms[:, t], layout, drawing), before, layout)
            rolls[:, t] = before
            step = model.step(torch.from_numpy(before).float(), step.state)

    return draw


def _frame(
    model: MusicRNN, step: Step, uniforms: NDArray[np.float32], layout: Layout, drawing: Drawing
) -> NDArray[np.uint8]:
    if drawing.threshold is not None:
        cells = model.head.probabilities(step.parameters, drawing.temperature) >= drawing.threshold
        return cells.numpy().astype(np.uint8)
    shared = torch.from_numpy(np.tile(uniforms, layout.width // layout.pitches))
    return model.head.draw(step.parameters, shared, drawing.temperature).numpy().astype(np.uint8)


def _canonical(frames: NDArray[np.uint8], before: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """Make drawn frames say the same as notes would, as ``PianoRoll`` does for whole rolls."""
    if layout.has_onsets:
        pitches = layout.pitches
        frames[:, :pitches] |= frames[:, pitches:]
        frames[:, pitches:] |= frames[:, :pitches] & (1 - before[:, :pitches])
    return frames
