"""Statistics of a corpus, from one pass over its rolls that keeps neither rolls nor facts about pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from musicrnn.corpus.store import Corpus
from musicrnn.music.score import DEFAULT_TEMPO
from musicrnn.music.statistics import RollCounts


def summarize(corpus: Corpus, track: Callable[[range], Iterable[int]] = iter) -> dict[str, Any]:
    """Return the statistics of a corpus as JSON values, those of ``RollStatistics`` by their own names.

    Histograms count frames, ``keys`` and ``metres`` pieces. A piece that ``max_frames`` cut counts as several
    pieces, but once among the duplicates. Where the tempo isn't known, the playing time is that at 120
    quarter notes per minute; frames in seconds need no tempo.

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
    frames, skipped = np.asarray(corpus.index["frames"]), corpus.head["skipped"]
    lengths = {"shortest": frames.min(), "median": np.median(frames), "longest": frames.max()}
    return {
        **corpus.identity(),
        "splits": {name: len(split) for name, split in corpus.items()},
        "split_frames": {name: split.frames for name, split in corpus.items()},
        "hours": seconds / 3600,
        "pieces_without_tempo": without_tempo,
        **asdict(counts.statistics()),
        "lengths": {
            name: {"frames": float(length), "quarters": float(length) / corpus.layout.resolution}
            for name, length in lengths.items()
        },
        **counts.histograms(),
        "keys": dict(counts.keys.most_common()),
        "metres": dict(metres.most_common()),
        "duplicates": count_duplicates(corpus)._asdict(),
        "skipped": sum(skipped.values()),
        "reasons": dict(skipped),
        "bytes": sum(path.stat().st_size for path in corpus.directory.iterdir()),
    }


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
