"""Matrices in the order in which products in kernels read them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from musicrnn.ops.kernels.compile import Entry, arguments_at, claim_slice, rows_of_slice
from musicrnn.ops.kernels.equations import shared_function
from musicrnn.ops.kernels.product import WIDTH
from musicrnn.ops.kernels.rows import clear
from musicrnn.ops.kernels.vectors import lanes_of, offset, pointer, put, scalar

FIELDS = ("rows", "source", "target", "depth", "columns", "padded")


def pack(record):
    """Pack transposed matrices (columns, depth), one after another."""
    args = arguments_at(record)
    like, index = args.like, claim_slice(record)
    first, last = rows_of_slice(index, args)
    for block in range(first, last):
        source = offset(pointer(args.source, like), block * args.depth * args.columns)
        target = offset(pointer(args.target, like), block * args.depth * args.padded)
        pack_panels(source, target, args.depth, args.columns, args.padded, 1)


@cache
def packer(dtype: torch.dtype) -> Entry:
    """Return the compiled ``pack``."""
    return Entry("pack", pack, FIELDS, dtype)


def packed(matrices: Tensor, columns: int, padded: int) -> Tensor:
    """Pack matrices (columns, K), one after another, as products read them."""
    depth = matrices.shape[-1]
    count = matrices.numel() // (columns * depth)
    target = matrices.new_empty(count, depth, padded)
    sizes = {"rows": count, "depth": depth, "columns": columns, "padded": padded}
    packer(matrices.dtype)(1, sizes, source=matrices.contiguous(), target=target)
    return target


@shared_function
def pack_panels(source, target, depth, columns, padded, transposed):
    """Pack a matrix into panels for products, with zeros after the last column.

    It is (depth, columns), or transposed (columns, depth), and becomes panels of up to three vectors' width
    that lie one after another, rows in order.
    """
    lanes = lanes_of(source)
    vectors = padded // lanes
    count = (vectors + WIDTH - 1) // WIDTH
    down, across = (1, depth) if transposed else (columns, 1)
    at, column = 0, 0
    clear(target, target, depth * padded)
    for panel in range(count):
        width = (vectors // count + (1 if panel < vectors % count else 0)) * lanes
        for row in range(depth):
            for cell in range(column, min(column + width, columns)):
                put(scalar(source, row * down + cell * across), target, at + cell - column)
            at += width
        column += width
