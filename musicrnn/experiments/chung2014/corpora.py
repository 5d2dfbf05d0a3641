"""The four data sets: prepared earlier, or prepared now from the published files."""

from __future__ import annotations

from collections.abc import Sequence

from musicrnn.corpus import Corpus, open_corpus
from musicrnn.corpus.build import published_corpus
from musicrnn.errors import CorpusError
from musicrnn.experiments.chung2014.paper import FRAMES


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
