"""Statistics of a corpus, from one pass over its rolls that keeps neither rolls nor facts about pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

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
            "duplicates": count_duplicates(self.corpus)._asdict(),
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


class Duplicates(NamedTuple):
    """How often pieces repeat, a piece that was cut counted once.

    Attributes:
        pieces: Pieces with the content of an earlier piece.
        transposed: Those of them that no earlier piece equals in the same key.
        across_splits: Pieces with the content of a piece in another split.
    """

    pieces: int
    transposed: int
    across_splits: int


def count_duplicates(corpus: Corpus) -> Duplicates:
    """Count the pieces whose content repeats."""
    _, rows = np.unique(corpus.index["part"], return_index=True)
    content, lowest, split = (corpus.index[column][rows] for column in ("content", "lowest", "split"))
    number = np.arange(len(rows))
    _, first, group = np.unique(content, return_index=True, return_inverse=True)
    _, first_in_key, in_key = np.unique(
        np.stack([group, lowest], axis=1), axis=0, return_index=True, return_inverse=True
    )
    repeats, repeats_in_key = first[group] != number, first_in_key[in_key.ravel()] != number
    is_split = np.zeros(len(first), bool)
    is_split[group[split != split[first[group]]]] = True
    return Duplicates(int(repeats.sum()), int((repeats & ~repeats_in_key).sum()), int(is_split[group].sum()))
