"""Sources -> corpus: worker processes convert the sources, this one writes the corpus."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from musicrnn.corpus.convert import Converted, Preparation, convert
from musicrnn.corpus.convert_many import BATCH, convert_many
from musicrnn.corpus.draft import Draft
from musicrnn.corpus.registry import DATASETS
from musicrnn.corpus.sources import Collection, Source, collect
from musicrnn.corpus.store import VERSION, Corpus, open_corpus
from musicrnn.errors import CorpusError
from musicrnn.files import exclusive, written
from musicrnn.processes import cluster, isolated
from musicrnn.processes.isolated import Failed

TIME_LIMIT = 60.0  # seconds that one piece may take
PREPARED = Path("data/prepared")
"""Where ``prepare NAME`` puts corpora."""

_Progress = Callable[[Iterable[Converted], int | None, int], Iterable[Converted]]
_Run = Callable[[Callable[[Any], Any], Iterable[Any]], Generator[tuple[Any, Any], None, None]]


@dataclass(frozen=True)
class Prepared:
    """The result of ``build_corpus``.

    Attributes:
        corpus: The corpus, opened.
        sources: Number of sources.
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
    progress: _Progress = lambda pieces, *_: pieces,
) -> Prepared:
    """Prepare a collection as a corpus, or resume an interrupted call with the same arguments.

    Args:
        collection: The sources.
        preparation: How their notes become rolls.
        directory: Where the corpus goes; a corpus there is replaced, anything else is not.
        seed: Seeds the splits of pieces whose source has none.
        shares: Shares of validation and test pieces.
        keep_duplicates: Whether pieces with the same content may be in different splits.
        workers: Processes that read and convert. The bytes written don't depend on it.
        time_limit: Seconds that one piece may take.
        scheduler: Address of a dask scheduler whose cluster reads and converts instead.
        progress: Wraps the converted sources as they come; gets the number of sources, or None if unknown,
            and the number that an interrupted call has finished.

    Raises:
        CorpusError: No piece could be read, or ``directory`` holds something else.
        FileError: ``directory`` can't be written, or another process is using it.
        MusicRNNError: There is no such scheduler.
    """
    started = time.monotonic()
    importlib.import_module("symusic")  # once here, rather than in every worker
    is_other = directory.exists() and not (directory / "corpus.json").exists()
    if is_other and (not directory.is_dir() or any(directory.iterdir())):
        raise CorpusError(f"{directory}: expected a corpus or an empty folder to write to, found other files")
    origin = [collection.name, collection.identity]
    request = {"version": VERSION, "collection": origin, "preparation": asdict(preparation)}
    run: _Run = partial(isolated.run, workers=workers, time_limit=time_limit)
    if scheduler is not None:
        run = partial(cluster.run, time_limit=time_limit, scheduler=scheduler)
    with exclusive(directory), written(directory), Draft(directory, preparation.layout, request) as draft:
        with closing(_convert_all(islice(collection, draft.done, None), preparation, run)) as pieces:
            for piece in progress(pieces, collection.count, draft.done):
                draft.add(piece)
        if not draft.pieces:
            draft.discard()
            number = "" if draft.done == 1 else f"none of {draft.done} pieces can be read; "
            raise CorpusError(number + draft.first_detail)
        draft.finish(collection.name, shares, seed, keep_duplicates)
        sources, reasons = draft.done, dict(draft.reasons)
    seconds = time.monotonic() - started
    return Prepared(open_corpus(directory), sources, sum(reasons.values()), reasons, seconds)


def published_corpus(name: str, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Return the folder of a data set's corpus, after preparing it if need be.

    Args:
        name: A key of ``DATASETS``.
        tell: Is called with a message if the corpus has to be prepared.

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
        hint = f"`musicrnn prepare {DATASETS[name].published_file} -o {directory}` makes the corpus"
        reason = str(error).partition("; --from")[0]
        raise CorpusError(f"{reason}; with a copy of it, {hint}") from error
    if collection.layout is None:
        hint = f"`musicrnn prepare {name}` makes it"
        raise CorpusError(f"{directory}: expected a prepared corpus, found nothing; {hint}")
    build_corpus(collection, Preparation(collection.layout), directory)
    return directory


def _convert_all(
    sources: Iterator[Source], preparation: Preparation, run: _Run
) -> Generator[Converted, None, None]:
    """Yield the result of each source, in order.

    Sources are converted in batches. Those of a batch that crashes or hangs are tried again one by one.
    """
    batches = iter(lambda: list(islice(sources, BATCH)), [])
    with closing(run(partial(convert_many, preparation=preparation), batches)) as results:
        for batch, found in results:
            if not isinstance(found, Failed):
                yield from found
                continue
            with closing(run(partial(convert, preparation=preparation), batch)) as separate:
                for source, result in separate:
                    if isinstance(result, Failed):
                        detail = f"{source.path}: expected a piece that can be read, found: {result.detail}"
                        result = Converted(source.name, source.split, reason=result.reason, detail=detail)
                    yield result
