"""The recurrence of every pitch: shared weights, what a pitch hears, and states that carry on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from musicrnn.nn.pitchwise import REACH, Pitchwise


def make(channels: int = 1, heads: int = 0, cell: str = "gru") -> Pitchwise:
    torch.manual_seed(1)
    layer = Pitchwise(cell, hidden_size=4, pitches=40, channels=channels, units=3, heads=heads)
    torch.nn.init.normal_(layer.output.weight)
    return layer


def rolls(batch: int, frames: int, width: int) -> Tensor:
    return (torch.rand(batch, frames, width) < 0.1).float()


@pytest.mark.parametrize("channels", [1, 2])
def test_a_pitch_hears_its_octaves_its_pitch_classes_and_where_it_is(channels: int) -> None:
    layer, heard = make(channels), rolls(1, 3, 40 * channels)
    found = layer._surroundings(heard)
    blocks = heard.view(1, 3, channels, 40)
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


def test_moved_up_it_says_the_same_but_for_where_it_is() -> None:
    layer, heard, hidden = make(), torch.zeros(1, 6, 40), torch.zeros(1, 6, 4)
    heard[0, :, 15:25] = rolls(1, 6, 10)[0]
    torch.nn.init.zeros_(layer.pitch)
    layer.get_buffer("position").zero_()
    here, _ = layer(hidden, heard)
    there, _ = layer(hidden, heard.roll(2, 2), semitones=torch.tensor([2]))
    torch.testing.assert_close(there[0, :, 14:30], here[0, :, 12:28])
    unaware, _ = layer(hidden, heard.roll(2, 2))
    assert not torch.allclose(unaware[0, :, 14:30], here[0, :, 12:28])


def test_it_begins_by_saying_nothing() -> None:
    layer = Pitchwise("gru", 4, 40, 1, 3)
    assert not layer(torch.rand(2, 5, 4), rolls(2, 5, 40))[0].any()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_states_carry_on(cell: str) -> None:
    layer, heard, hidden = make(2, 3, cell), rolls(2, 9, 80), torch.rand(2, 9, 4)
    attended = torch.rand(2, 3, 9, 80)
    whole, last = layer(hidden, heard, attended)
    state, parts = (), []
    for span in (slice(0, 4), slice(4, 5), slice(5, 9)):
        part, state = layer(hidden[:, span], heard[:, span], attended[:, :, span], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    for one, other in zip(state, last, strict=True):
        torch.testing.assert_close(one, other)
        assert one.shape == (2, 40, 3)


def test_what_attention_brings_is_heard_at_its_own_pitch() -> None:
    layer, heard, hidden = make(2, 1), torch.zeros(1, 2, 80), torch.zeros(1, 2, 4)
    attended = torch.zeros(1, 1, 2, 80)
    silent, _ = layer(hidden, heard, attended)
    attended[0, 0, 1, 45] = 1  # the second channel of pitch 5
    loud, _ = layer(hidden, heard, attended)
    changed = (loud - silent)[0].abs() > 1e-6
    assert set(map(tuple, changed.nonzero().tolist())) == {(1, 5), (1, 45)}
