from __future__ import annotations

import numpy as np
import pytest
import torch

from musicrnn.evaluation.calibration import calibration_of
from musicrnn.evaluation.scoring import score_split
from musicrnn.music import Layout
from musicrnn.nn import MusicRNN, NetworkSettings
from tests.evaluation.rolls import LAYOUT, random_pieces, split

NARROW = Layout(resolution=4, low=60, high=64, channels="frame")


def network(width: int):
    torch.manual_seed(width)
    model = MusicRNN(NetworkSettings.of(hidden=6), width).eval()
    with torch.no_grad():
        model.head.linear.weight.mul_(6)
        model.head.linear.bias.copy_(torch.linspace(-6, 2, width))
    return model


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("layout", [LAYOUT, NARROW], ids=lambda layout: layout.channels)
def test_everything_is_counted_as_by_a_plain_loop(layout: Layout, skip: bool) -> None:
    pieces = random_pieces([9, 17, 1, 12, 17], 2, layout.width)
    model, nats, predicted, observed, positions = network(layout.width), [], [], [], np.zeros(17)
    for piece in pieces:
        frames = torch.from_numpy(piece)[None].float()
        with torch.no_grad():
            inputs = torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)
            log_odds = model.features(inputs)[0].log_odds[0]
            nats.append(model.nll(frames)[0].double().numpy())
        predicted.append(torch.sigmoid(log_odds.double()).numpy()[skip:])
        observed.append(piece[skip:] > 0)
        positions[skip : len(piece)] += nats[-1][skip:]
    found = score_split(model, split(pieces, layout), skip_first_frame=skip)
    assert found.nats == pytest.approx([piece.sum() for piece in nats], rel=1e-5)
    assert found.first_nats == pytest.approx([piece[0] for piece in nats], rel=1e-5)
    assert found.position_nats == pytest.approx(positions, rel=1e-5)
    p, y = np.concatenate(predicted), np.concatenate(observed)
    cells = -np.where(y, np.log(p), np.log1p(-p)).sum(0)
    assert found.pitch_nats == pytest.approx(cells.reshape(-1, 5).sum(0), rel=1e-4)
    assert found.pitch_nats.sum() == pytest.approx(sum(piece[skip:].sum() for piece in nats), rel=1e-4)
    guess, truth = p[:, :5] >= 0.5, y[:, :5]
    assert found.positives.tolist() == [(guess & truth).sum(), (guess & ~truth).sum(), (truth & ~guess).sum()]
    bins = np.minimum((p.astype(np.float32) * 10).astype(int), 9)
    for part, index in zip(calibration_of(found.calibration).bins, range(10), strict=True):
        inside = bins == index
        assert part.cells == inside.sum()
        if part.cells:
            assert part.confidence == pytest.approx(p[inside].mean(), rel=1e-5)
            assert part.frequency == pytest.approx(y[inside].mean())


def test_the_first_bin_is_empty_if_all_cells_are_likely() -> None:
    model = MusicRNN(NetworkSettings.of(hidden=2), 5).eval()
    sums = score_split(model, split(random_pieces([7, 3], 1, 5), NARROW)).calibration
    assert sums[:, 0].tolist() == [0, 0, 0]
    found = calibration_of(sums)
    assert found.bins[0].cells == 0 and np.isnan(found.bins[0].confidence)
    assert found.error == found.likely_error


def test_certain_and_wrong_predictions_cost_finite_nats() -> None:
    model = MusicRNN(NetworkSettings.of(hidden=2), 5).eval()
    with torch.no_grad():
        model.head.linear.weight.zero_()
        model.head.linear.bias.copy_(torch.tensor([200.0, -200.0, 0.0, 0.0, 0.0]))
    found = score_split(model, split([np.array([[0, 1, 0, 0, 0]])], NARROW))
    assert found.nats == pytest.approx([400 + 3 * np.log(2)])
    assert np.isfinite(found.pitch_nats).all() and (found.pitch_nats[:2] > 16).all()
