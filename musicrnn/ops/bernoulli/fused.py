"""The negative log-likelihood of independent sigmoids as a kernel: one pass over the log-odds each way.

The gradient of softplus(x) - y x is sigmoid(x) - y, so nothing is kept but the log-odds themselves.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from musicrnn.ops import choices
from musicrnn.ops.kernels.compile import Entry, claim_slice
from musicrnn.ops.kernels.functions import sigmoid, softplus
from musicrnn.ops.kernels.vectors import get, keep_lanes, lanes_of, load_some, pointer, put, store_some, total


def likelihood(record):
    """Write the nats (B,) of log-odds and frames (B, D), or, from gradients of nats, those of log-odds."""
    args, like, _, first, last = claim_slice(record)
    logits, frames = pointer(args.logits, like), pointer(args.frames, like)
    nats, gradients = pointer(args.nats, like), pointer(args.gradients, like)
    lanes, width = lanes_of(logits), args.width
    for row in range(first, last):
        summed = load_some(logits, 0, 0)
        for cell in range(0, width, lanes):
            count = min(lanes, width - cell)
            x = load_some(logits, row * width + cell, count)
            y = load_some(frames, row * width + cell, count)
            if args.backward == 0:
                summed = summed + keep_lanes(softplus(x) - x * y, count)
            else:
                store_some((sigmoid(x) - y) * get(nats, row), gradients, row * width + cell, count)
        if args.backward == 0:
            put(total(summed), nats, row)


@cache
def _kernel(dtype: torch.dtype) -> Entry:
    fields = ("rows", "width", "backward", "logits", "frames", "nats", "gradients")
    return Entry("bernoulli", likelihood, fields, dtype)


def _run(logits: Tensor, frames: Tensor, nats: Tensor, gradients: Tensor | None = None) -> None:
    """Call the kernel; it writes gradients if they are given, else nats."""
    sizes = {"rows": nats.numel(), "width": logits.shape[-1], "backward": gradients is not None}
    tensors = {"logits": logits, "frames": frames, "nats": nats, "gradients": gradients}
    _kernel(logits.dtype)(choices.slices(nats.numel()), sizes, **tensors)


class _NLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, frames: Tensor) -> Tensor:
        logits, frames = logits.contiguous(), frames.contiguous()
        nats = logits.new_empty(logits.shape[:-1])
        _run(logits, frames, nats)
        ctx.save_for_backward(logits, frames)
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_nats: Tensor) -> tuple[Tensor, None]:
        logits, frames = ctx.saved_tensors
        gradients = torch.empty_like(logits)
        _run(logits, frames, d_nats.contiguous(), gradients)
        return gradients, None


def nll(logits: Tensor, frames: Tensor) -> Tensor:
    """Return nats, shape (...), from log-odds and frames of shape (..., D)."""
    nats: Tensor = _NLL.apply(logits, frames)
    return nats
