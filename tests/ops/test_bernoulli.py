"""The likelihood of independent sigmoids: the kernel beside torch's operations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from musicrnn.ops import bernoulli_nll
from musicrnn.ops.bernoulli import fused, naive
from tests.ops.cases import assert_same_bits, poisoned, threads

LIMITS = {torch.float32: 2e-6, torch.float64: 1e-14}

each_type = pytest.mark.parametrize("dtype", LIMITS)


def example(*shape: int, dtype: torch.dtype = torch.float64, scale: float = 6.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = (scale * torch.randn(*shape, generator=generator)).to(dtype).requires_grad_()
    return logits, (torch.rand(shape, generator=generator) < 0.3).to(dtype)


def both(way: object, logits: Tensor, frames: Tensor) -> dict[str, Tensor]:
    assert callable(way)
    nats = way(logits, frames)
    weights = torch.linspace(-1, 2, nats.numel(), dtype=nats.dtype).view_as(nats)
    (gradient,) = torch.autograd.grad(nats, logits, weights)
    return {"nats": nats.detach(), "gradient": gradient}


@each_type
@pytest.mark.parametrize("width", [1, 7, 8, 16, 17, 88, 176])
def test_nats_and_gradients_are_those_of_torch_in_float64(dtype: torch.dtype, width: int) -> None:
    logits, frames = example(3, 5, width, dtype=dtype)
    found = both(fused.nll, logits, frames)
    expected = both(naive.nll, logits.detach().double().requires_grad_(), frames.double())
    for name, tensor in expected.items():
        assert found[name].dtype == dtype
        torch.testing.assert_close(found[name].double(), tensor, rtol=LIMITS[dtype], atol=LIMITS[dtype])


@each_type
@given(logit=st.floats(-200, 200, width=32), frame=st.sampled_from([0.0, 1.0]))
def test_a_single_cell_keeps_its_relative_precision(dtype: torch.dtype, logit: float, frame: float) -> None:
    likelier = logit if frame == 0 else -logit
    exact = max(likelier, 0) + math.log1p(math.exp(-abs(logit)))  # torch's own is coarser
    found = fused.nll(torch.tensor([logit], dtype=dtype), torch.tensor([frame], dtype=dtype))
    unit = torch.finfo(dtype).eps
    cancelled = unit * logit if frame == 1 and logit > 0 else 0.0
    assert abs(found.item() - exact) <= 4 * unit * exact + cancelled + math.exp(-79)  # farther out is zero


def test_gradients_are_those_of_differences() -> None:
    logits, frames = example(2, 3, 5)
    assert torch.autograd.gradcheck(lambda x: fused.nll(x, frames), (logits,))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_nan_and_infinity_stay_in_their_row(value: float) -> None:
    logits, frames = example(4, 20)
    with torch.no_grad():
        logits[2, 7] = value
        frames[2, 7] = 0.0 if value == torch.inf else 1.0
    found, expected = fused.nll(logits, frames), naive.nll(logits, frames)
    assert torch.equal(found.isfinite(), expected.isfinite()) and not found[2].isfinite()


def test_the_same_bits_for_any_number_of_threads_and_any_batch() -> None:
    logits, frames = example(6, 9, 88, dtype=torch.float32)
    with threads(1):
        alone = both(fused.nll, logits, frames)
    with threads(2), poisoned():
        assert_same_bits(both(fused.nll, logits, frames), alone)
    assert torch.equal(fused.nll(logits[1:2], frames[1:2])[0], alone["nats"][1])


def test_the_order_in_memory_does_not_matter() -> None:
    logits, frames = example(4, 6, 10)
    expected = fused.nll(logits, frames)
    turned = fused.nll(logits.transpose(0, 1).contiguous().transpose(0, 1), frames.flip(0).flip(0))
    assert torch.equal(turned, expected)
    (gradient,) = torch.autograd.grad(expected, logits, torch.ones(1, 1, dtype=torch.float64).expand(4, 6))
    torch.testing.assert_close(gradient, torch.sigmoid(logits) - frames)


def test_no_frames_give_no_nats() -> None:
    assert fused.nll(torch.zeros(2, 0, 5), torch.zeros(2, 0, 5)).shape == (2, 0)


def test_other_types_of_number_and_frames_that_need_gradients_use_torch() -> None:
    logits, frames = example(3, 5, dtype=torch.bfloat16)
    assert torch.equal(bernoulli_nll(logits, frames), naive.nll(logits, frames))
    logits, frames = example(3, 5)
    frames.requires_grad_()
    (gradient,) = torch.autograd.grad(bernoulli_nll(logits, frames).sum(), frames)
    torch.testing.assert_close(gradient, -logits)


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    logits, frames = example(3, 5)
    with pytest.raises(ValueError, match=r"frames must be torch.float64 of shape \(3, 5\).*got .*\(3, 4\)"):
        bernoulli_nll(logits, frames[:, :4])
    with pytest.raises(ValueError, match=r"as log-odds, got torch.float32"):
        bernoulli_nll(logits, frames.float())
