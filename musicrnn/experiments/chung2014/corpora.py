"""The four data sets: those already prepared, or prepared now from what was published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from musicrnn.corpus import Corpus, Preparation, build_corpus, collect, open_corpus
from musicrnn.corpus.registry import DATASETS
from musicrnn.errors import CorpusError
from musicrnn.experiments.chung2014.paper import FRAMES

PREPARED = Path("data/prepared")


def open_corpora(names: Sequence[str]) -> list[Corpus]:
    """Open data sets; those that aren't prepared are fetched and prepared first.

    Args:
        names: Keys of ``TABLE_2``.

    Raises:
        CorpusError: One can't be fetched, or what is there is another corpus.
        FileError: One can't be written.
    """
    return [_open(name, PREPARED / name) for name in names]


def _open(name: str, path: Path) -> Corpus:
    if not (path / "corpus.json").exists():
        try:
            collection = collect([name])
        except CorpusError as error:
            file = DATASETS[name].published_file
            reason = str(error).partition("; --from")[0]
            raise CorpusError(
                f"{reason}; with a copy of it, `musicrnn prepare {file} -o {path}` makes the corpus"
            ) from error
        assert collection.layout is not None
        build_corpus(collection, Preparation(collection.layout), path)
    corpus = open_corpus(path)
    frames = tuple(corpus[split].frames if split in corpus else 0 for split in ("train", "valid", "test"))
    if corpus.layout.width != 88 or frames != FRAMES[name]:
        raise CorpusError(
            f"{path}: expected the published {name}, {FRAMES[name]} frames of 88 notes in train, valid and "
            f"test, found {frames} of {corpus.layout.width}"
        )
    corpus.name = name  # the same rolls may have been published under another
    return corpus
