"""The pitch recurrence: shared weights, the inputs of a pitch, and states that are carried."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from musicrnn.nn.heads import FeatureSizes
from musicrnn.nn.pitchwise import REACH, Pitchwise
from musicrnn.nn.settings import DropoutSettings


def make(channels: int = 1, heads: int = 0, cell: str = "gru") -> Pitchwise:
    torch.manual_seed(1)
    layer = Pitchwise(cell, FeatureSizes(4, 40, channels, heads, 3), DropoutSettings())
    torch.nn.init.normal_(layer.output.weight)
    return layer


def rolls(batch: int, frames: int, width: int) -> Tensor:
    return (torch.rand(batch, frames, width) < 0.1).float()


@pytest.mark.parametrize("channels", [1, 2])
def test_inputs_of_a_pitch_are_its_octaves_pitch_classes_and_height(channels: int) -> None:
    layer, inputs = make(channels), rolls(1, 3, 40 * channels)
    found = layer._surroundings(inputs)
    blocks = inputs.view(1, 3, channels, 40)
    for pitch in (0, 11, 25, 39):
        for t in range(3):
            near = [
                blocks[0, t, channel, pitch + step].item() if 0 <= pitch + step < 40 else 0.0
                for channel in range(channels)
                for step in range(-REACH, REACH + 1)
            ]
            classes = [
                blocks[0, t, 0, [p for p in range(40) if (p - pitch - above) % 12 == 0]].sum().item()
                for above in range(12)
            ]
            assert found[0, pitch, t].tolist() == pytest.approx([*near, *classes, pitch / 19.5 - 1])


def test_transposed_music_gives_the_same_but_for_the_height() -> None:
    layer, inputs, hidden = make(), torch.zeros(1, 6, 40), torch.zeros(1, 6, 4)
    inputs[0, :, 15:25] = rolls(1, 6, 10)[0]
    torch.nn.init.zeros_(layer.pitch)
    layer.get_buffer("position").zero_()
    here = layer(hidden, inputs).log_odds
    there = layer(hidden, inputs.roll(2, 2), semitones=torch.tensor([2])).log_odds
    torch.testing.assert_close(there[0, :, 14:30], here[0, :, 12:28])
    unaware = layer(hidden, inputs.roll(2, 2)).log_odds
    assert not torch.allclose(unaware[0, :, 14:30], here[0, :, 12:28])


def test_its_log_odds_start_at_zero() -> None:
    layer = Pitchwise("gru", FeatureSizes(4, 40, 1, 0, 3), DropoutSettings())
    assert not layer(torch.rand(2, 5, 4), rolls(2, 5, 40)).log_odds.any()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_states_are_carried_from_chunk_to_chunk(cell: str) -> None:
    layer, inputs, hidden = make(2, 3, cell), rolls(2, 9, 80), torch.rand(2, 9, 4)
    retrieved = torch.rand(2, 3, 9, 80)
    _, whole, last = layer(hidden, inputs, retrieved)
    state, parts = (), []
    for span in (slice(0, 4), slice(4, 5), slice(5, 9)):
        _, part, state = layer(hidden[:, span], inputs[:, span], retrieved[:, :, span], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    for one, other in zip(state, last, strict=True):
        torch.testing.assert_close(one, other)
        assert one.shape == (2, 40, 3)


def test_what_attention_retrieves_acts_on_its_own_pitch() -> None:
    layer, inputs, hidden = make(2, 1), torch.zeros(1, 2, 80), torch.zeros(1, 2, 4)
    retrieved = torch.zeros(1, 1, 2, 80)
    silent = layer(hidden, inputs, retrieved).log_odds
    retrieved[0, 0, 1, 45] = 1  # the second channel of pitch 5
    loud = layer(hidden, inputs, retrieved).log_odds
    changed = (loud - silent)[0].abs() > 1e-6
    assert set(map(tuple, changed.nonzero().tolist())) == {(1, 5), (1, 45)}
