"""The negative log-likelihood of independent sigmoids as a kernel: one pass over the log-odds each way.

The gradient of softplus(x) - y x is sigmoid(x) - y, so nothing is kept but the log-odds themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from musicrnn.ops import choices
from musicrnn.ops.kernels.compile import Entry, arguments_at, claim_slice, rows_of_slice
from musicrnn.ops.kernels.functions import sigmoid, softplus
from musicrnn.ops.kernels.vectors import (
    first_lanes,
    lanes_of,
    load_some,
    pointer,
    put,
    scalar,
    store_some,
    total,
)

FIELDS = ("rows", "width", "logits", "frames", "nats", "gradients")


def forward(record):
    """Write the nats (B,) of rows of log-odds and frames (B, D)."""
    args = arguments_at(record)
    like, index = args.like, claim_slice(record)
    first, last = rows_of_slice(index, args)
    logits, frames = pointer(args.logits, like), pointer(args.frames, like)
    lanes, width = lanes_of(logits), args.width
    for row in range(first, last):
        nats = load_some(logits, 0, 0)
        for cell in range(0, width, lanes):
            count = min(lanes, width - cell)
            x = load_some(logits, row * width + cell, count)
            y = load_some(frames, row * width + cell, count)
            nats = nats + first_lanes(softplus(x) - x * y, count)
        put(total(nats), pointer(args.nats, like), row)


def backward(record):
    """Write the gradients (B, D) of log-odds from those of nats (B,)."""
    args = arguments_at(record)
    like, index = args.like, claim_slice(record)
    first, last = rows_of_slice(index, args)
    logits, frames = pointer(args.logits, like), pointer(args.frames, like)
    lanes, width = lanes_of(logits), args.width
    for row in range(first, last):
        factor = scalar(pointer(args.nats, like), row)
        for cell in range(0, width, lanes):
            count = min(lanes, width - cell)
            x = load_some(logits, row * width + cell, count)
            y = load_some(frames, row * width + cell, count)
            store_some((sigmoid(x) - y) * factor, pointer(args.gradients, like), row * width + cell, count)


@cache
def _kernel(body: Callable[..., None], dtype: torch.dtype) -> Entry:
    return Entry(f"bernoulli_{body.__name__}", body, FIELDS, dtype)


class _NLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, frames: Tensor) -> Tensor:
        logits, frames = logits.contiguous(), frames.contiguous()
        nats = logits.new_empty(logits.shape[:-1])
        slices, sizes = choices.slices(nats.numel()), {"rows": nats.numel(), "width": logits.shape[-1]}
        _kernel(forward, logits.dtype)(slices, sizes, logits=logits, frames=frames, nats=nats)
        ctx.save_for_backward(logits, frames)
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_nats: Tensor) -> tuple[Tensor, None]:
        logits, frames = ctx.saved_tensors
        gradients, d_nats = torch.empty_like(logits), d_nats.contiguous()
        slices, sizes = choices.slices(d_nats.numel()), {"rows": d_nats.numel(), "width": logits.shape[-1]}
        tensors = {"logits": logits, "frames": frames, "nats": d_nats, "gradients": gradients}
        _kernel(backward, logits.dtype)(slices, sizes, **tensors)
        return gradients, None


def nll(logits: Tensor, frames: Tensor) -> Tensor:
    """Return nats, shape (...), from log-odds and frames of shape (..., D)."""
    nats: Tensor = _NLL.apply(logits, frames)
    return nats
