"""What the paper prints (sizes, parameter counts and likelihoods), and its data sets.

References:
    Chung, Gulcehre, Cho and Bengio 2014, arXiv:1412.3555, tables 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.build import published_corpus
from musicrnn.errors import CorpusError
from musicrnn.nn import Recurrent


@dataclass(frozen=True)
class Size:
    """A row of table 1.

    Attributes:
        task: ``music`` or ``speech``.
        cell: The recurrent unit; the LSTM has peepholes.
        hidden: Its units, H.
        inputs: Width of its input, D, which gives the paper's counts.
        paper: Parameters of the layer as printed, in thousands.
    """

    task: str
    cell: str
    hidden: int
    inputs: int
    paper: float

    @property
    def parameters(self) -> int:
        """Parameters of the recurrent layer alone, counted in the layer that this program builds."""
        layer = Recurrent(self.cell, self.inputs, self.hidden, peepholes=self.cell == "lstm")
        return sum(parameter.numel() for parameter in layer.parameters())


TABLE_1 = (
    Size("music", "lstm", 36, 100, 19.8),
    Size("music", "gru", 46, 100, 20.2),
    Size("music", "tanh", 100, 100, 20.1),
    Size("speech", "lstm", 195, 20, 169.1),
    Size("speech", "gru", 227, 20, 168.9),
    Size("speech", "tanh", 400, 20, 168.4),
)

UNITS = {size.cell: size.hidden for size in TABLE_1 if size.task == "music"}
CELLS = ("tanh", "gru", "lstm")
NAMES = {"tanh": "tanh", "gru": "GRU", "lstm": "LSTM"}
"""What the paper calls the cells."""

TABLE_2 = {
    "nottingham": {"tanh": (3.22, 3.13), "gru": (2.79, 3.23), "lstm": (3.08, 3.20)},
    "jsb": {"tanh": (8.82, 9.10), "gru": (6.94, 8.54), "lstm": (8.15, 8.67)},
    "musedata": {"tanh": (5.64, 6.23), "gru": (5.06, 5.99), "lstm": (5.18, 6.23)},
    "piano-midi": {"tanh": (5.64, 9.03), "gru": (4.93, 8.82), "lstm": (6.49, 9.03)},
}
"""Average NLL that the paper prints for music, (train, test), by data set and cell."""

TITLES = {
    "nottingham": "Nottingham",
    "jsb": "JSB Chorales",
    "musedata": "MuseData",
    "piano-midi": "Piano-midi.de",
}

COMPARABLE = ("nottingham", "jsb")
"""The data sets whose figures in the paper fit the usual measure."""

FRAMES = {
    "nottingham": (176_561, 45_513, 44_463),
    "jsb": (13_807, 4_602, 4_725),
    "musedata": (245_202, 82_755, 64_339),
    "piano-midi": (75_911, 8_540, 19_036),
}
"""Frames of the published data sets, (train, valid, test)."""


def table_1() -> list[dict[str, Any]]:
    """Return the rows of table 1: as printed, and as counted here."""
    counts = [(size, size.parameters) for size in TABLE_1]
    return [{**asdict(size), "here": round(n / 1000, 1), "parameters": n} for size, n in counts]


def open_corpora(names: Sequence[str]) -> list[Corpus]:
    """Open data sets, keys of ``TABLE_2``; those that aren't prepared are fetched and prepared first.

    Raises:
        CorpusError: One can't be fetched, or the folder holds another corpus.
        FileError: One can't be written.
    """
    corpora = []
    for name in names:
        path = published_corpus(name)
        corpus = open_corpus(path)
        frames = tuple(corpus[split].frames if split in corpus else 0 for split in ("train", "valid", "test"))
        if corpus.layout.width != 88 or frames != FRAMES[name]:
            raise CorpusError(
                f"{path}: expected the published {name}, {FRAMES[name]} frames of 88 notes in train, valid "
                f"and test, found {frames} of {corpus.layout.width}"
            )
        corpus.name = name  # the same rolls may have been published under another
        corpora.append(corpus)
    return corpora
