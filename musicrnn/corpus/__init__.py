"""Prepared corpora: where pieces come from, how they are stored, and the published data sets. No torch.

The modules that prepare corpora are imported on first use; those that read them import quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicrnn.corpus.store import Corpus, PieceFacts, Split, corpus_identity, open_corpus
from musicrnn.lazy import lazy

if TYPE_CHECKING:
    from musicrnn.corpus.build import build_corpus as build_corpus
    from musicrnn.corpus.convert import Preparation as Preparation
    from musicrnn.corpus.sources import collect as collect

_HOMES = {
    "Preparation": "musicrnn.corpus.convert",
    "build_corpus": "musicrnn.corpus.build",
    "collect": "musicrnn.corpus.sources",
}

__all__ = ["Corpus", "PieceFacts", "Split", "corpus_identity", "open_corpus", *_HOMES]

__getattr__ = lazy("musicrnn.corpus", _HOMES)
