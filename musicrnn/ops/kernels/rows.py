"""Rows of numbers, moved and added vector by vector.

Rows inside kernels fill whole vectors; the ``in`` and ``out`` forms are for rows of the caller's tensors,
which may end inside one.
"""

from __future__ import annotations

from numba.extending import register_jitable

from musicrnn.ops.kernels.vectors import lanes_of, load, load_some, store, store_some, zeros_of


@register_jitable
def copy(source, target, numbers):  # type: ignore[no-untyped-def]
    """Copy so many numbers."""
    for at in range(0, numbers, lanes_of(source)):
        store(load(source, at), target, at)


@register_jitable
def add(source, target, numbers):  # type: ignore[no-untyped-def]
    """Add so many numbers to others."""
    for at in range(0, numbers, lanes_of(source)):
        store(load(target, at) + load(source, at), target, at)


@register_jitable
def clear(target, numbers):  # type: ignore[no-untyped-def]
    """Set so many numbers to zero."""
    for at in range(0, numbers, lanes_of(target)):
        store(zeros_of(target), target, at)


@register_jitable
def copy_out(source, target, numbers):  # type: ignore[no-untyped-def]
    """Copy a row that may end inside a vector, and touch nothing behind it."""
    lanes = lanes_of(source)
    whole = numbers // lanes * lanes
    copy(source, target, whole)
    if whole < numbers:
        store_some(load(source, whole), target, whole, numbers - whole)


@register_jitable
def add_in(source, target, numbers):  # type: ignore[no-untyped-def]
    """Add a row that may end inside a vector, as if zeros followed."""
    lanes = lanes_of(source)
    whole = numbers // lanes * lanes
    add(source, target, whole)
    if whole < numbers:
        store(load(target, whole) + load_some(source, whole, numbers - whole), target, whole)
