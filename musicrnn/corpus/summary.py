"""Statistics of a corpus, from one pass over its rolls that keeps neither rolls nor facts about pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from musicrnn.corpus.store import Corpus
from musicrnn.music.score import DEFAULT_TEMPO
from musicrnn.music.statistics import RollCounts


@dataclass(frozen=True)
class Summary:
    """Statistics of a corpus.

    Attributes:
        corpus: The corpus.
        counts: Counts over its rolls.
        seconds: Playing time.
        without_tempo: Pieces whose tempo isn't known; their playing time is that at 120 quarter notes per
            minute. Frames in seconds need no tempo.
        metres: How many pieces have each time signature, ``4/4``; ``unknown`` where the source has none.
    """

    corpus: Corpus
    counts: RollCounts
    seconds: float
    without_tempo: int
    metres: Counter[str]

    def as_dict(self) -> dict[str, Any]:
        """Return all as JSON values, the statistics of ``RollStatistics`` by their own names.

        Histograms count frames, ``keys`` and ``metres`` pieces. A piece that ``max_frames`` cut counts as
        several pieces, but once among the duplicates.
        """
        skipped = self.corpus.head["skipped"]
        return {
            **self.corpus.identity(),
            "splits": {name: len(split) for name, split in self.corpus.items()},
            "split_frames": {name: split.frames for name, split in self.corpus.items()},
            "hours": self.seconds / 3600,
            "pieces_without_tempo": self.without_tempo,
            **asdict(self.counts.statistics()),
            "lengths": self._lengths(),
            **self.counts.histograms(),
            "keys": dict(self.counts.keys.most_common()),
            "metres": dict(self.metres.most_common()),
            "duplicates": self.corpus.duplicates()._asdict(),
            "skipped": sum(skipped.values()),
            "reasons": dict(skipped),
            "bytes": sum(path.stat().st_size for path in self.corpus.directory.iterdir()),
        }

    def _lengths(self) -> dict[str, dict[str, float]]:
        """Return the lengths of the shortest, the median and the longest piece."""
        frames = np.asarray(self.corpus.index["frames"])
        found = {"shortest": frames.min(), "median": np.median(frames), "longest": frames.max()}
        return {
            name: {"frames": float(length), "quarters": float(length) / self.corpus.layout.resolution}
            for name, length in found.items()
        }


def summarize(corpus: Corpus, track: Callable[[range], Iterable[int]] = iter) -> Summary:
    """Compute the statistics of a corpus.

    Args:
        corpus: The corpus.
        track: Wraps the numbers of the pieces as they are counted, to show progress.

    Raises:
        CorpusError: A piece is damaged.
    """
    counts, metres = RollCounts(corpus.layout), Counter[str]()
    seconds, without_tempo = 0.0, 0
    for row in track(range(len(corpus.pieces))):
        roll, piece = corpus.roll(row), corpus.piece(row)
        counts.add(roll)
        metres["/".join(map(str, piece.metre)) if piece.metre else "unknown"] += 1
        tempo = corpus.layout.tempo or piece.tempo
        without_tempo += tempo is None
        seconds += roll.quarters * 60 / (tempo or DEFAULT_TEMPO)
    return Summary(corpus, counts, seconds, without_tempo, metres)
