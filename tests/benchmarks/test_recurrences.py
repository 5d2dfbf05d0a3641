"""The benchmark of recurrences through a real process, on a tiny grid; no speed is asserted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import recurrences

ROOT = Path(__file__).parents[2]
TINY = ["--cell", "tanh", "irnn", "--hidden", "8", "--batch", "1", "3", "--frames", "4", "--repeats", "1"]

WRONG = """
import sys
from benchmarks import recurrences

right = recurrences.recurrence

def wrong(cell, inputs, state, weights):
    outputs, last = right(cell, inputs, state, weights)
    if cell.name == "tanh":
        return 1.001 * outputs, last
    return outputs.detach() + 1.001 * (outputs - outputs.detach()), last  # only its gradients are wrong

recurrences.recurrence = wrong
sys.exit(recurrences.main(sys.argv[1:]))
"""


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command, *TINY], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300
    )


def rows(text: str) -> list[str]:
    return re.findall(r"^(?:tanh|irnn) +8 +[13] .*$", text, re.MULTILINE)


def test_every_unit_and_size_has_a_row_of_numbers() -> None:
    process = ran("benchmarks/recurrences.py")
    assert process.returncode == 0, process.stderr
    assert len(rows(process.stdout)) == 4
    for row in rows(process.stdout):
        assert re.search(r"( +[\d.]+){2} +[\d.]+%( +[\d.]+){2}$", row), row
    assert "not measured" in process.stdout and "disagrees" not in process.stdout


def test_a_unit_that_disagrees_has_no_ratio() -> None:
    process = ran("-c", WRONG, "--json")
    assert process.returncode == 1, process.stderr
    assert len(rows(process.stderr)) == 4
    for row in rows(process.stderr):
        assert re.search(r"[13]   disagrees: .* is off by 1\.0e-03$", row), row
    assert re.search(r"^tanh +mean +>= 2.5 +-  missed$", process.stderr, re.MULTILINE)
    document = json.loads(process.stdout)
    for line in document["rows"]:
        assert not line["agrees"] and line["torch_ratio"] is line["loop_ratio"] is line["gflops"] is None
    assert {*document["figures"]["tanh"].values()} == {None}


def test_operations_are_those_of_the_definition() -> None:
    frames, products = 2 * 5, {"gru": 3 * (88 * 2 + 20 * 3) * 20, "scrn": 20 * 88 * 2 + 15 * 20 * 3}
    for cell, count in products.items():
        assert recurrences.make(cell, 20, 2, 5, "dense").operations() == 2 * frames * count


def test_rolls_have_four_notes_a_frame() -> None:
    inputs = recurrences.make("tanh", 8, 2, 5, "roll").inputs
    assert torch.equal(inputs.sum(2), torch.full((2, 5), 4.0)) and {*inputs.unique().tolist()} == {0.0, 1.0}
