"""Prepared corpora: where pieces come from, how they are stored, and the published data sets. No torch."""

from musicrnn.corpus.build import Prepared, build_corpus
from musicrnn.corpus.convert import Preparation
from musicrnn.corpus.source import Source
from musicrnn.corpus.sources import Collection, collect
from musicrnn.corpus.store import Corpus, Piece, Split, open_corpus

__all__ = [
    "Collection",
    "Corpus",
    "Piece",
    "Preparation",
    "Prepared",
    "Source",
    "Split",
    "build_corpus",
    "collect",
    "open_corpus",
]
