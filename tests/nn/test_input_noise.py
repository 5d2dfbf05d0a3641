from __future__ import annotations

import pytest
import torch

from musicrnn.nn.input_noise import flip


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5])
def test_cells_are_flipped_with_their_probability_each_on_its_own(probability: float) -> None:
    torch.manual_seed(0)
    flips = torch.stack([flip(torch.zeros(7, 11, 13), probability) for _ in range(400)])
    cells = flips[0].numel()
    assert flips.mean().item() == pytest.approx(probability, rel=0.02)
    assert flips.mean(0).std().item() == pytest.approx(
        (probability * (1 - probability) / 400) ** 0.5, rel=0.1
    )
    spread = flips.sum((1, 2, 3)).var().item()
    assert spread == pytest.approx(cells * probability * (1 - probability), rel=0.3)


def test_ones_become_zeros_and_the_frames_given_stay() -> None:
    torch.manual_seed(0)
    frames = (torch.rand(3, 40, 20) < 0.5).float()
    before = frames.clone()
    flipped = flip(frames, 0.5)
    assert torch.equal(frames, before) and set(flipped.unique().tolist()) == {0.0, 1.0}
    assert (flipped != frames).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_single_cell_can_be_flipped() -> None:
    torch.manual_seed(0)
    assert sum(flip(torch.zeros(1, 1, 1), 0.3).item() for _ in range(1000)) == pytest.approx(300, abs=60)
