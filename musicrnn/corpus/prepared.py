"""The published rolls by name: their corpora, prepared where they aren't yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from musicrnn.corpus.build import build_corpus
from musicrnn.corpus.convert import Preparation
from musicrnn.corpus.registry import DATASETS
from musicrnn.corpus.sources import collect
from musicrnn.errors import CorpusError

PREPARED = Path("data/prepared")
"""Where ``prepare NAME`` puts corpora."""


def published_corpus(name: str, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Return the folder of a data set's corpus; what isn't prepared yet is prepared now.

    Args:
        name: A key of ``DATASETS``.
        tell: Is told in words if there is something to do.

    Raises:
        CorpusError: The set can't be fetched, or consists of MIDI files, which can be prepared in many ways.
        FileError: The corpus can't be written.
    """
    directory = PREPARED / name
    if (directory / "corpus.json").exists():
        return directory
    tell(f"preparing {name} in {directory}")
    try:
        collection = collect([name])
    except CorpusError as error:
        file = DATASETS[name].published_file
        reason = str(error).partition("; --from")[0]
        raise CorpusError(
            f"{reason}; with a copy of it, `musicrnn prepare {file} -o {directory}` makes the corpus"
        ) from error
    if collection.layout is None:
        raise CorpusError(
            f"{directory}: expected a prepared corpus, found nothing; `musicrnn prepare {name}` makes it"
        )
    build_corpus(collection, Preparation(collection.layout), directory)
    return directory
