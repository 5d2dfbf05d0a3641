"""Learning curves plotted in a process of its own, where matplotlib is imported while a network trains.

That import takes longer than training a small network. Where the process fails, curves are plotted here.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from musicrnn.processes import child


class PlotProcess:
    """A process that plots curves once; it ends with the block."""

    def __enter__(self) -> PlotProcess:
        self._process = child.start(f"{__name__}:main", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        child.end(self._process, grace=0)  # it has plotted, or there is nothing to plot
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def plot(self, curves: Mapping[str, Sequence[float]], path: Path, **labels: Any) -> None:
        """Plot curves as ``plot_curves`` does.

        Raises:
            FileError: The picture can't be written.
        """
        request = json.dumps({"curves": curves, "path": str(path), **labels})
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(request.encode())
        if self._process.returncode != 0:
            from musicrnn.plots.curves import plot_curves

            plot_curves(curves, path, **labels)


def main() -> None:
    """Plot the curves that come in over stdin; an empty request means that none are wanted."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401  slow to import, so before there is something to plot

    from musicrnn.plots.curves import plot_curves

    if request := sys.stdin.read():
        plot_curves(**json.loads(request))
