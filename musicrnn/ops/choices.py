"""Which of several ways to compute is taken, by size; each choice with the measurement behind it."""

from __future__ import annotations

import torch


def slices(batch: int) -> int:
    """Return into how many slices the rows of a batch are shared out: one a thread, if there are rows."""
    return max(1, min(torch.get_num_threads(), batch))


def most_active(width: int) -> int:
    """Return up to how many ones in a frame of D cells its product with W is summed column by column."""
    return width // 6


def library_wins(cell: str, batch: int, hidden: int) -> bool:
    """Return whether oneDNN's kernel is faster than ours."""
    return False


def stream_slices(streams: int) -> int:
    """Return into how many slices streams that are generated together are cut.

    A slice goes through all frames before the next one starts: 64 streams of a small network fit in a core's
    cache with all they need.
    """
    return max(1, min(streams, max(torch.get_num_threads(), -(-streams // 64))))
