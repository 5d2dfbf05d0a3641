from __future__ import annotations

import torch
from torch import Tensor

from musicrnn.nn import MusicRNN, NetworkSettings
from musicrnn.nn.state import NetworkState


def state_of(frames: Tensor) -> NetworkState:
    torch.manual_seed(0)
    settings = NetworkSettings.of(
        cell="lstm", layers=2, hidden=3, attention=1, attention_size=2, pitchwise=2, clock="4"
    )
    state: NetworkState = MusicRNN(settings, 6)(frames)[1]
    return state


def tensors(state: NetworkState) -> list[Tensor]:
    parts = (*state.layers, state.attention, state.pitches, state.position)
    return [tensor for part in parts for tensor in part]


def test_every_part_has_the_pieces_first() -> None:
    state = state_of((torch.rand(4, 5, 6) < 0.3).float())
    shapes = [tuple(tensor.shape) for tensor in tensors(state)]
    assert shapes == [(4, 3)] * 4 + [(4, 5, 2), (4, 5, 6)] + [(4, 6, 2)] * 2 + [(4, 1)]


def test_rows_are_those_of_the_pieces_alone() -> None:
    frames = (torch.rand(4, 5, 6) < 0.3).float()
    for rows in (slice(2), torch.tensor([3, 0, 0])):
        for found, expected in zip(
            tensors(state_of(frames).rows(rows)), tensors(state_of(frames[rows])), strict=True
        ):
            torch.testing.assert_close(found, expected)


def test_detached_it_needs_no_gradient() -> None:
    state = state_of((torch.rand(1, 5, 6) < 0.3).float())
    assert any(tensor.requires_grad for tensor in tensors(state))
    assert not any(tensor.requires_grad for tensor in tensors(state.detach()))


def test_copies_are_side_by_side_and_moving_keeps_values() -> None:
    state = state_of((torch.rand(2, 5, 6) < 0.3).float())
    for copied, tensor, moved in zip(
        tensors(state.repeat(2)), tensors(state), tensors(state.to("cpu")), strict=True
    ):
        torch.testing.assert_close(copied, tensor[[0, 0, 1, 1]])
        torch.testing.assert_close(moved, tensor)
