"""Frames sampled by the kernel are those that the equations give, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from musicrnn.ops import State, compiled_generator, dispatch
from musicrnn.ops.kernels.generator import CompiledGenerator
from tests.ops.cases import Case, Variant, each_cell, make, naive, poisoned, threads

PITCHES, HIDDEN = 11, 10


@dataclass(frozen=True)
class Network:
    """Layers under independent sigmoids, their states and the last frames; the numbers are float64."""

    layers: list[Case]
    head: Tensor
    bias: Tensor
    before: Tensor

    def rows(self, which: slice) -> Network:
        return replace(self, layers=[layer.rows(which) for layer in self.layers], before=self.before[which])

    def generator(self, dtype: torch.dtype = torch.float32) -> CompiledGenerator | None:
        layers = [layer.change(lambda tensor: tensor.to(dtype)).detach() for layer in self.layers]
        weights, state = [layer.weights for layer in layers], [layer.state for layer in layers]
        head, bias = self.head.to(dtype), self.bias.to(dtype)
        return compiled_generator(layers[0].cell, weights, head, bias, state, self.before, PITCHES)

    def compiled(self, uniforms: Tensor, temperature: float = 1.0, threshold: float = 0.0) -> Tensor:
        rolls = torch.full((len(uniforms), uniforms.shape[1], len(self.head)), 7, dtype=torch.uint8)
        generator = self.generator()
        assert generator is not None
        generator.sample(uniforms, rolls, temperature, threshold)
        return rolls

    def step_by_step(self, uniforms: Tensor, temperature: float = 1.0, threshold: float = 0.0) -> Tensor:
        frames, before = [], self.before.bool()
        states: list[State] = [layer.state for layer in self.layers]
        for t in range(uniforms.shape[1]):
            chances = torch.sigmoid((states[-1][0] @ self.head.T + self.bias) / temperature)
            shared = uniforms[:, t].repeat(1, len(self.head) // PITCHES)
            frame = chances >= threshold if threshold else shared < chances
            if len(self.head) > PITCHES:
                sounds, starts = frame.split(PITCHES, 1)
                sounds = sounds | starts
                frame = torch.cat([sounds, starts | sounds & ~before[:, :PITCHES]], 1)
            before = frame
            frames.append(frame)
            inputs = frame.double()[:, None]
            for k, layer in enumerate(self.layers):
                inputs, states[k] = naive(replace(layer, inputs=inputs, state=states[k]))
        return torch.stack(frames, 1).byte()


def network(variant: Variant, layers: int = 2, onsets: bool = True, batch: int = 3) -> Network:
    width = PITCHES * (1 + onsets)
    cases = [make(variant, batch, 1, width if k == 0 else HIDDEN, HIDDEN).detach() for k in range(layers)]
    generator = torch.Generator().manual_seed(0)
    head = torch.randn(width, HIDDEN, generator=generator).double()
    before = torch.rand(batch, width, generator=generator) < 0.3
    return Network(cases, head, torch.randn(width, generator=generator).double() - 1, before.byte())


def numbers(batch: int, frames: int = 16) -> Tensor:
    return torch.rand(batch, frames, PITCHES, generator=torch.Generator().manual_seed(1))


@each_cell
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("onsets", [False, True], ids=["frames", "onsets"])
def test_frames_are_those_sampled_step_by_step(variant: Variant, layers: int, onsets: bool) -> None:
    example = network(variant, layers, onsets)
    found = example.compiled(numbers(3))
    assert 0.1 < found.double().mean() < 0.9
    assert torch.equal(found, example.step_by_step(numbers(3)))


@each_cell
@pytest.mark.parametrize(("temperature", "threshold"), [(0.3, 0.0), (4.0, 0.0), (1.0, 0.4), (2.0, 0.4)])
def test_temperature_and_threshold(variant: Variant, temperature: float, threshold: float) -> None:
    example = network(variant)
    expected = example.step_by_step(numbers(3), temperature, threshold)
    assert torch.equal(example.compiled(numbers(3), temperature, threshold), expected)


@each_cell
def test_sampling_continues_where_it_stopped(variant: Variant) -> None:
    example, uniforms = network(variant), numbers(3)
    rolls = torch.full((3, 16, 2 * PITCHES), 7, dtype=torch.uint8)
    generator = example.generator()
    assert generator is not None
    for start, end in ((0, 5), (5, 6), (6, 15)):
        generator.sample(uniforms[:, start:end].contiguous(), rolls[:, start:end])
    assert torch.equal(rolls[:, :15], example.compiled(uniforms)[:, :15])
    assert (rolls[:, 15] == 7).all()


@each_cell
def test_a_piece_is_the_same_alone_in_a_batch_and_on_any_number_of_threads(variant: Variant) -> None:
    example, uniforms = network(variant, batch=70), numbers(70)
    together = example.compiled(uniforms)
    assert torch.equal(together, example.step_by_step(uniforms))
    for rows in (slice(0, 1), slice(69, 70), slice(3, 12)):
        assert torch.equal(example.rows(rows).compiled(uniforms[rows]), together[rows])
    with threads(2):
        assert torch.equal(example.compiled(uniforms), together)


@each_cell
def test_the_arguments_are_not_changed(variant: Variant) -> None:
    example = network(variant)
    states = [tensor.clone() for layer in example.layers for tensor in layer.state]
    before = example.before.clone()
    first = example.compiled(numbers(3))
    assert torch.equal(example.compiled(numbers(3)), first)
    assert torch.equal(example.before, before)
    after = [tensor for layer in example.layers for tensor in layer.state]
    assert all(torch.equal(a, b) for a, b in zip(after, states, strict=True))


@each_cell
def test_nothing_is_read_before_it_is_written(variant: Variant) -> None:
    example = network(variant)
    expected = example.compiled(numbers(3))
    with poisoned():
        assert torch.equal(example.compiled(numbers(3)), expected)


@each_cell
def test_there_is_no_generator_where_there_is_no_kernel(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert network(variant).generator(torch.bfloat16) is None
    monkeypatch.setattr(dispatch, "fused", lambda cell: None)
    assert network(variant).generator() is None
