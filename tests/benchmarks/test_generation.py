from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "generation.py"


def test_the_kernel_and_the_step_loop_sample_the_same_frames() -> None:
    command = [
        sys.executable,
        str(SCRIPT),
        "--streams",
        "1",
        "3",
        "--frames",
        "64",
        "--repeats",
        "1",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["rows"]
    assert [row["streams"] for row in rows] == [1, 3]
    assert all(row["agrees"] and row["ratio"] > 0 for row in rows)
