"""Learning curves drawn by a process of its own.

To import what draws takes longer than a small network takes to learn. So it is imported beside the training,
by a process that waits for the curves; where that process fails they are drawn here.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_COMMAND = [sys.executable, "-c", "from musicrnn.cli.artist import main; main()"]


class Artist:
    """Draws curves; the process ends with the block, or when this program does."""

    def __enter__(self) -> Artist:
        # A session of its own: Ctrl-C is for the training.
        self._process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.kill()  # it has drawn, or there is nothing to draw
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def draw(self, curves: Mapping[str, Sequence[float]], path: Path, **labels: Any) -> None:
        """Draw curves as ``music.draw.draw_curves`` does, once.

        Raises:
            FileError: The picture can't be written.
        """
        request = json.dumps({"curves": curves, "path": str(path), **labels})
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(request.encode())
        if self._process.returncode != 0:
            from musicrnn.music.draw import draw_curves

            draw_curves(curves, path, **labels)


def main() -> None:
    """Draw what comes in over stdin; its end without anything means that nothing is wanted."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401  what takes time, before there is something to draw

    from musicrnn.music.draw import draw_curves

    request = sys.stdin.read()
    if request:
        draw_curves(**json.loads(request))
