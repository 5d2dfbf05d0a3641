"""Pieces -> corpus: other processes convert them, this one keeps what comes."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from musicrnn.corpus.convert import Converted, Preparation, convert
from musicrnn.corpus.convert_many import BATCH, convert_many
from musicrnn.corpus.draft import Draft
from musicrnn.corpus.registry import DATASETS
from musicrnn.corpus.sources import Collection, Source, collect
from musicrnn.corpus.store import VERSION, Corpus, open_corpus
from musicrnn.errors import CorpusError
from musicrnn.files import exclusive, written
from musicrnn.processes import cluster, isolated
from musicrnn.processes.isolated import Failed, Item, Result

TIME_LIMIT = 60.0
"""Seconds that one piece may take."""
PREPARED = Path("data/prepared")
"""Where ``prepare NAME`` puts corpora."""

Progress = Callable[[Iterable[Converted], int | None, int], Iterable[Converted]]


@dataclass(frozen=True)
class Prepared:
    """What came of a request.

    Attributes:
        corpus: The corpus, opened.
        sources: Sources that were looked at.
        skipped: Sources that were left out.
        reasons: How many for each reason.
        seconds: Time it took.
    """

    corpus: Corpus
    sources: int
    skipped: int
    reasons: dict[str, int]
    seconds: float


def build_corpus(
    collection: Collection,
    preparation: Preparation,
    directory: Path,
    *,
    seed: int = 0,
    shares: tuple[float, float] = (0.1, 0.1),
    keep_duplicates: bool = False,
    workers: int = 1,
    time_limit: float = TIME_LIMIT,
    scheduler: str | None = None,
    progress: Progress = lambda pieces, *_: pieces,
) -> Prepared:
    """Prepare a collection as a corpus, or go on with what an interrupted request for the same has left.

    Args:
        collection: The pieces.
        preparation: How their notes become rolls.
        directory: Where the corpus goes; a corpus that is there is replaced, anything else is not.
        seed: Seeds the splits of pieces whose source gives none.
        shares: Shares of validation and test pieces.
        keep_duplicates: Whether pieces of the same content may fall into different splits.
        workers: Processes that read and convert. The bytes written don't depend on it.
        time_limit: Seconds that one piece may take.
        scheduler: Address of a dask scheduler whose cluster reads and converts instead.
        progress: Wraps the converted pieces as they come, given the number of all, or None if it can't be
            told, and of those that an earlier run has done.

    Returns:
        The corpus, and an account of what was left out.

    Raises:
        CorpusError: No piece could be read, or ``directory`` holds something else.
        FileError: ``directory`` can't be written, or another process prepares it.
        MusicRNNError: There is no such scheduler.
    """
    started = time.monotonic()
    importlib.import_module("symusic")  # once here, rather than in every worker
    if directory.exists() and not (directory / "corpus.json").exists() and any(_entries(directory)):
        raise CorpusError(f"{directory}: expected a corpus or an empty folder to write to, found other files")
    request = {
        "version": VERSION,
        "collection": [collection.name, collection.identity],
        "preparation": asdict(preparation),
    }
    with exclusive(directory), written(directory), Draft(directory, preparation.layout, request) as draft:
        work = _Work(preparation, workers, time_limit, scheduler)
        with closing(work.convert(islice(collection, draft.done, None))) as pieces:
            for piece in progress(pieces, collection.count, draft.done):
                draft.add(piece)
        if not draft.pieces:
            draft.discard()
            raise CorpusError(
                draft.first_detail
                if draft.done == 1
                else f"none of {draft.done} pieces can be read; {draft.first_detail}"
            )
        draft.finish(collection.name, shares, seed, keep_duplicates)
        sources, reasons = draft.done, dict(draft.reasons)
    seconds = time.monotonic() - started
    return Prepared(open_corpus(directory), sources, sum(reasons.values()), reasons, seconds)


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


@dataclass(frozen=True)
class _Work:
    """How and where sources are converted."""

    preparation: Preparation
    workers: int
    time_limit: float
    scheduler: str | None

    def convert(self, sources: Iterator[Source]) -> Generator[Converted, None, None]:
        """Yield what becomes of each source, in order.

        Sources travel in batches. Those of a batch that crashes or hangs are tried again one by one.
        """
        batches = iter(lambda: list(islice(sources, BATCH)), [])
        with closing(self._run(partial(convert_many, preparation=self.preparation), batches)) as running:
            for batch, found in running:
                yield from self._one_by_one(batch) if isinstance(found, Failed) else found

    def _one_by_one(self, sources: list[Source]) -> Iterator[Converted]:
        with closing(self._run(partial(convert, preparation=self.preparation), sources)) as running:
            for source, found in running:
                if isinstance(found, Failed):
                    detail = f"{source.path}: expected a piece that can be read, found: {found.detail}"
                    yield Converted(source.name, source.split, reason=found.reason, detail=detail)
                else:
                    yield found

    def _run(
        self, task: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[tuple[Item, Result | Failed], None, None]:
        if self.scheduler is None:
            return isolated.run(task, items, workers=self.workers, time_limit=self.time_limit)
        return cluster.run(task, items, time_limit=self.time_limit, scheduler=self.scheduler)


def _entries(directory: Path) -> Iterator[Path]:
    return directory.iterdir() if directory.is_dir() else iter([directory])
