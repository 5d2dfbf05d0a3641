"""Kernels are compiled once for all processes, with a message."""

from __future__ import annotations

from pathlib import Path

from tests.ops.cases import run_python

FIRST_USE = """
import torch
from musicrnn.ops import CELLS, Weights, recurrence

with torch.no_grad():
    weights = Weights(torch.eye(4), torch.eye(4), torch.zeros(4))
    for _ in range(2):
        outputs, _ = recurrence(CELLS["irnn"], torch.ones(2, 3, 4), (torch.zeros(2, 4),), weights)
print(outputs[0, :, 0].tolist())
"""


def test_kernels_are_compiled_once_with_a_message(tmp_path: Path) -> None:
    for said in ("compiling kernels, once …\n", ""):
        ran = run_python(FIRST_USE, NUMBA_CACHE_DIR=str(tmp_path))
        assert (ran.returncode, ran.stderr, ran.stdout) == (0, said, "[1.0, 2.0, 3.0]\n")
