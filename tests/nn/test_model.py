from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from musicrnn.errors import UsageError
from musicrnn.nn import MusicRNN, NetworkSettings


@pytest.fixture
def model() -> MusicRNN:
    torch.manual_seed(0)
    return MusicRNN(NetworkSettings.of(hidden=4), 5).eval()


def test_nll_is_that_of_independent_bernoullis_given_the_frames_before(model: MusicRNN) -> None:
    frames = (torch.rand(1, 3, 5) < 0.5).float()
    before, expected, state = torch.zeros(1, 1, 5), [], None
    for t in range(3):
        distribution, state = model(before, state)
        before = frames[:, t : t + 1]
        p = distribution.marginals()
        expected.append(-(before * p.log() + (1 - before) * (1 - p).log()).sum().item())
    assert model.nll(frames)[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_without_output_weights_it_is_the_unigram(model: MusicRNN) -> None:
    model.head.start_at(torch.tensor([0.5, 0.25, 0.1, 0.9, 0.01]))
    torch.nn.init.zeros_(model.head.matrix)
    frames = torch.tensor([[[1.0, 0, 0, 1, 0]]])
    expected = -sum(map(math.log, (0.5, 0.75, 0.9, 0.9, 0.99)))
    assert model.nll(frames).item() == pytest.approx(expected, rel=1e-5)


def test_padding_costs_nothing_and_changes_nothing(model: MusicRNN) -> None:
    frames = (torch.rand(2, 6, 5) < 0.5).float()
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    nll = model.nll(frames, mask)
    assert nll[1, 4:].tolist() == [0, 0]
    torch.testing.assert_close(nll[1:, :4], model.nll(frames[1:, :4]))


def test_a_frame_never_depends_on_later_ones(model: MusicRNN) -> None:
    frames = (torch.rand(1, 6, 5) < 0.5).float()
    other = frames.clone()
    other[:, 4:] = 1 - other[:, 4:]
    torch.testing.assert_close(model.nll(frames)[:, :4], model.nll(other)[:, :4], rtol=0, atol=0)


def test_probabilities_of_all_frames_sum_to_one(model: MusicRNN) -> None:
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 5)[:, None]
    assert torch.exp(-model.nll(every)).sum().item() == pytest.approx(1, rel=1e-5)


def test_tied_weights_are_one_tensor_for_input_and_output() -> None:
    torch.manual_seed(0)
    tied = MusicRNN(NetworkSettings.of(hidden=4, tied=True), 5)
    free = MusicRNN(NetworkSettings.of(hidden=4, embedding=4), 5)
    assert tied.parameter_count == free.parameter_count - 5 * 4
    assert "embedding.weight" not in tied.state_dict() and "embedding.weight" in free.state_dict()
    with torch.no_grad():
        free.load_state_dict({**tied.state_dict(), "embedding.weight": tied.head.matrix.t()})
    frames = (torch.rand(2, 6, 5) < 0.5).float()
    torch.testing.assert_close(tied.nll(frames), free.nll(frames))
    tied.nll(frames).sum().backward()  # type: ignore[no-untyped-call]
    free.nll(frames).sum().backward()  # type: ignore[no-untyped-call]
    assert free.embedding is not None and free.embedding.weight.grad is not None
    assert free.head.matrix.grad is not None
    expected = free.head.matrix.grad + free.embedding.weight.grad.t()
    torch.testing.assert_close(tied.head.matrix.grad, expected)


def test_a_width_that_is_no_multiple_of_the_channels_is_refused() -> None:
    with pytest.raises(UsageError, match="input_size must be a multiple of the 2 channels, got 5"):
        MusicRNN(NetworkSettings(), 5, 2)


def test_inputs_may_differ_from_targets_and_states_are_carried(model: MusicRNN) -> None:
    frames = (torch.rand(2, 8, 5) < 0.5).float()
    inputs = torch.cat([torch.zeros(2, 1, 5), frames[:, :-1]], 1)
    whole = model.score(frames)
    first = model.score(frames[:, :5], None, inputs[:, :5])
    second = model.score(frames[:, 5:], None, inputs[:, 5:], first.state)
    torch.testing.assert_close(torch.cat([first.nats, second.nats], 1), whole.nats)
    assert not torch.allclose(model.score(frames, None, 1 - inputs).nats, whole.nats)


SHAPES: list[tuple[dict[str, Any], int]] = [
    ({"attention": 2}, 1),
    ({"clock": "2,7"}, 1),
    ({"pitchwise": 3}, 2),
    ({"attention": 2, "pitchwise": 3, "cell": "lstm", "layers": 2, "embedding": 4, "clock": "3"}, 1),
]


def disturbed(options: dict[str, Any], channels: int) -> MusicRNN:
    """A network without a weight of zero, for frames of 12 cells."""
    torch.manual_seed(0)
    model = MusicRNN(NetworkSettings.of(hidden=4, **options), 12, channels).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize(("options", "channels"), SHAPES)
def test_frame_by_frame_and_in_chunks_it_gives_what_it_gives_at_once(
    options: dict[str, Any], channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frames = disturbed(options, channels), (torch.rand(2, 30, 12) < 0.3).float()
    whole, _ = model.features(frames)
    state, steps = None, []
    for t in range(30):
        features, state = model.features(frames[:, t : t + 1], state)
        steps.append(features.log_odds)
    torch.testing.assert_close(torch.cat(steps, 1), whole.log_odds)
    scored = model.score(frames, marginals=True)
    monkeypatch.setattr("musicrnn.nn.model.CHUNK_FRAMES", 14)
    with torch.no_grad():
        chunks = list(model.chunks(frames))
        in_chunks = model.score(frames, marginals=True)
    assert len(chunks) == 5
    torch.testing.assert_close(torch.cat([part.log_odds for _, part, _ in chunks], 1), whole.log_odds)
    torch.testing.assert_close(in_chunks.nats, scored.nats)
    torch.testing.assert_close(in_chunks.marginals, scored.marginals)


@pytest.mark.parametrize(("options", "channels"), SHAPES)
def test_a_frame_never_depends_on_later_ones_in_any_structure(options: dict[str, Any], channels: int) -> None:
    model, frames = disturbed(options, channels), (torch.rand(1, 9, 12) < 0.3).float()
    other = frames.clone()
    other[:, 5:] = 1 - other[:, 5:]
    torch.testing.assert_close(model.nll(frames)[:, :5], model.nll(other)[:, :5], rtol=0, atol=0)
    assert (model.nll(frames)[:, 6:] != model.nll(other)[:, 6:]).all()


@pytest.mark.parametrize(("options", "channels"), SHAPES)
def test_every_weight_learns(options: dict[str, Any], channels: int) -> None:
    model = disturbed(options, channels).train()
    model.nll((torch.rand(2, 20, 12) < 0.3).float()).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_features_are_given_per_pitch() -> None:
    model = disturbed({"attention": 2, "pitchwise": 3}, 2)
    features, _ = model.features((torch.rand(2, 7, 12) < 0.3).float())
    shapes = [None if part is None else tuple(part.shape) for part in features]
    assert shapes == [(2, 7, 4), (2, 7, 12), (2, 7, 12), (2, 2, 7, 12), (2, 6, 7, 3)]
    torch.testing.assert_close(features.last().pitches, features.pitches[:, :, -1:])
    rows = features.rows(torch.tensor([1, 1, 0]))
    torch.testing.assert_close(rows.retrieved, features.retrieved[[1, 1, 0]])
    plain, _ = disturbed({}, 1).features(torch.zeros(1, 3, 12))
    assert plain.retrieved is None and plain.pitches is None and plain.last().rows(torch.tensor([0]))
