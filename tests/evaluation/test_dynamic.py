"""Dynamic evaluation uses no frame before it is scored, scores every frame once, and lowers the loss."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch

from musicrnn.corpus import Corpus
from musicrnn.errors import UsageError
from musicrnn.evaluation import Adaptation, evaluate, evaluate_dynamically
from musicrnn.evaluation.dynamic import DAMPING, AdaptingModel
from musicrnn.nn import MusicRNN, NetworkSettings
from tests.evaluation.rolls import LAYOUT, Splits, random_pieces, split

ADAPTATION = Adaptation(rate=0.4, decay=0.05, segment=4)
TRAIN = random_pieces([13, 8, 10], 5)


def network() -> MusicRNN:
    torch.manual_seed(0)
    return MusicRNN(NetworkSettings.of(hidden=5), LAYOUT.width).eval()


def static(model: MusicRNN, piece: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.nll(torch.from_numpy(piece)[None].float())[0].double().numpy()


def corpus(test: list[np.ndarray]) -> Corpus:
    return cast(Corpus, Splits(train=split(TRAIN), test=split(test)))


def test_a_frame_changes_no_score_before_it_nor_in_its_segment() -> None:
    adapting, (piece,) = AdaptingModel(network(), split(TRAIN), ADAPTATION), random_pieces([18], 8)
    usual = adapting.score(piece)
    for time in range(len(piece)):
        changed = piece.copy()
        changed[time] ^= 1
        scores = adapting.score(changed)
        np.testing.assert_array_equal(scores[:time], usual[:time], err_msg=f"frame {time} was used too early")
        assert scores[time] != usual[time]


def test_the_end_of_a_piece_changes_nothing_before_it() -> None:
    adapting, (piece,) = AdaptingModel(network(), split(TRAIN), ADAPTATION), random_pieces([18], 8)
    whole = adapting.score(piece)
    for length in (1, 4, 5, 17):
        np.testing.assert_allclose(adapting.score(piece[:length]), whole[:length], rtol=1e-6)


def test_the_first_segment_is_scored_as_trained_and_the_next_is_not() -> None:
    model, (piece,) = network(), random_pieces([12], 9)
    scores, usual = AdaptingModel(model, split(TRAIN), ADAPTATION).score(piece), static(model, piece)
    np.testing.assert_allclose(scores[:4], usual[:4], rtol=1e-5)
    assert np.abs(scores[4:] - usual[4:]).min() > 1e-4


def test_without_steps_it_equals_static_evaluation() -> None:
    model, data = network(), corpus(random_pieces([9, 1, 12, 4], 3))
    for skip in (False, True):
        found = evaluate_dynamically(model, data, adaptation=Adaptation(0, 0, 5), skip_first_frame=skip)
        usual = evaluate(model, data, skip_first_frame=skip)
        assert found.frames == usual.frames and [p.frames for p in found.pieces] == [
            p.frames for p in usual.pieces
        ]
        assert found.nll_per_frame == pytest.approx(usual.nll_per_frame, rel=1e-5)
        assert found.nll_mean_of_pieces == pytest.approx(usual.nll_mean_of_pieces, rel=1e-5)


def test_steps_are_those_of_a_plain_loop() -> None:
    """The rule in the module, with a dictionary of tensors and no vector."""
    model, (piece,) = network(), random_pieces([11], 4)
    trained = {name: p.detach().clone() for name, p in model.named_parameters()}

    def gradients(frames: np.ndarray, between: Any = lambda gradient: None) -> tuple[list[Any], list[float]]:
        true, state, found, nats = torch.from_numpy(frames)[None].float(), None, [], []
        inputs = torch.cat([torch.zeros_like(true[:, :1]), true[:, :-1]], 1)
        for start in range(0, len(frames), ADAPTATION.segment):
            part = slice(start, start + ADAPTATION.segment)
            model.zero_grad()
            scored = model.score(true[:, part], None, inputs[:, part], state)
            scored.nats.sum().backward()
            state = scored.state.detach()
            found.append({name: p.grad.clone() for name, p in model.named_parameters()})
            nats += scored.nats[0].tolist()
            between(found[-1])
        return found, nats

    every = [gradient for roll in TRAIN for gradient in gradients(roll)[0]]
    m = {name: torch.stack([g[name] for g in every]).square().mean(0).sqrt() for name in trained}
    mean = sum(float(value.sum()) for value in m.values()) / sum(value.numel() for value in m.values())
    typical = sum(float((value**2 / (value + DAMPING * mean)).sum()) for value in m.values())

    shortened = []

    def step(gradient: Any) -> None:
        scaled = {
            name: ADAPTATION.rate * ADAPTATION.segment / typical * gradient[name] / (m[name] + DAMPING * mean)
            for name in m
        }
        gain = sum(float((scaled[name] * gradient[name]).sum()) for name in m)
        shortened.append(gain > ADAPTATION.rate * ADAPTATION.segment)
        with torch.no_grad():
            for name, p in model.named_parameters():
                back = (ADAPTATION.decay * m[name] / mean).clamp(max=1) * (trained[name] - p)
                p += back - min(1.0, ADAPTATION.rate * ADAPTATION.segment / gain) * scaled[name]

    nats = gradients(piece, step)[1]
    found = AdaptingModel(network(), split(TRAIN), ADAPTATION).score(piece)
    np.testing.assert_allclose(found, nats, rtol=1e-4)
    assert any(shortened)


def test_every_piece_starts_with_the_trained_weights_and_the_model_is_unchanged() -> None:
    model, pieces = network(), random_pieces([12, 12], 6)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    done: list[int] = []
    both = evaluate_dynamically(model, corpus(pieces), adaptation=ADAPTATION, advance=done.append)
    alone = evaluate_dynamically(model, corpus(pieces[1:]), adaptation=ADAPTATION)
    assert both.pieces[1].nll_per_frame == alone.pieces[0].nll_per_frame
    assert done == [1, 2]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_repetition_is_learned() -> None:
    model, phrase = network(), random_pieces([8], 11)[0]
    data = corpus([np.tile(phrase, (20, 1))])
    found, usual = evaluate_dynamically(model, data), evaluate(model, data)
    assert found.nll_per_frame < usual.nll_per_frame - 0.5


def test_the_whole_state_is_carried_from_segment_to_segment() -> None:
    torch.manual_seed(0)
    settings = NetworkSettings.of(hidden=5, layers=2, attention=2, pitchwise=3, clock="3")
    model, (piece,) = MusicRNN(settings, LAYOUT.width, channels=2).eval(), random_pieces([18], 8)
    fixed = AdaptingModel(model, split(TRAIN), Adaptation(rate=0, decay=0, segment=4))
    np.testing.assert_allclose(fixed.score(piece), static(model, piece), rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"rate": -1.0}, "rate must be 0 or more, got -1"),
        ({"rate": float("nan")}, "rate must be 0 or more, got nan"),
        ({"decay": 1.5}, "decay must be from 0 to 1, got 1.5"),
        ({"segment": 0}, "segment must have at least 1 frame, got 0"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], pattern: str) -> None:
    with pytest.raises(UsageError, match=pattern):
        Adaptation(**changes)
