"""The trials of a sweep: Optuna's study of them, and the folder of their runs.

Optuna's storage has every trial's number, settings, state and metrics; ``sweep.json`` in the folder has the
settings of the sweep, so that no other sweep is mixed in. A trial names the folder of its run: several
machines may share a storage, each with its own folder.
"""

from __future__ import annotations

import json
import math
import secrets
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from musicrnn.errors import ModelError, MusicRNNError, UsageError
from musicrnn.experiments.sweep.settings import SweepSettings
from musicrnn.files import read_document, write_json, written

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from musicrnn.experiments.trials import TrialRecord

FORMAT, VERSION = "musicrnn-sweep", 1
SETTINGS, JOURNAL = "sweep.json", "study.journal"
_LOCK_SECONDS = 60.0
"""How long to wait for a database that another process writes to."""
RETRY_SECONDS = 0.5
"""Seconds between attempts to open a database, which may fail while another machine sets it up."""
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running", "FAIL": "failed"}
"""Our words for Optuna's states; a report lists the trials in this order."""


@dataclass(frozen=True)
class Trial:
    """A trial of a sweep.

    Attributes:
        number: Counted from 0.
        state: ``complete``, ``pruned``, ``failed`` or ``running``.
        settings: The settings that were searched, by name.
        run: The folder of its run.
        valid_nll: Lowest validation NLL so far, nats per frame; None where there is none.
        epochs: Epochs it was trained.
        reason: Why it failed.
        threads: Threads that torch had; 0 where that isn't known.
    """

    number: int
    state: str
    settings: dict[str, Any]
    run: Path
    valid_nll: float | None
    epochs: int
    reason: str = ""
    threads: int = 0


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return complete trials from best to worst, then pruned ones, then those that are running or failed."""
    states = list(_STATES.values())

    def place(trial: Trial) -> tuple[int, float, int]:
        nll = math.inf if trial.valid_nll is None else trial.valid_nll
        return states.index(trial.state), nll, trial.number

    return sorted(trials, key=place)


@dataclass(eq=False)
class TrialStore:
    """The trials of a sweep.

    Attributes:
        study: Optuna's study.
        storage: Its storage.
        settings: The settings of the sweep.
        directory: The folder of the runs.
        folder: What trials call this folder.
        url: Optuna's name of the database, which may have trials of other folders; None is a journal.
    """

    study: optuna.Study
    storage: BaseStorage
    settings: SweepSettings
    directory: Path
    folder: str
    url: str | None

    def stored(self) -> list[FrozenTrial]:
        """Return the trials as Optuna has them, by number."""
        return self.study.get_trials(deepcopy=False)

    def trials(self) -> list[Trial]:
        """Return the trials by number."""
        return [
            Trial(
                number=trial.number,
                state=_STATES.get(trial.state.name, "running"),
                settings={name: trial.params[name] for name in self.settings.space if name in trial.params},
                run=self.run_folder(trial.number),
                valid_nll=min(trial.intermediate_values.values(), default=None),
                epochs=len(trial.intermediate_values),
                reason=str(trial.user_attrs.get("reason", "")),
                threads=int(trial.user_attrs.get("threads", 0)),
            )
            for trial in self.stored()
        ]

    def run_folder(self, number: int) -> Path:
        """Return the folder of a trial's run."""
        return self.directory / f"trial-{number:03d}"

    def create(self) -> optuna.Trial:
        """Add a trial, which belongs to this folder from the start."""
        import optuna

        new = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, user_attrs={"folder": self.folder}
        )
        name = self.study.study_name
        return self.open(self.storage.create_new_trial(self.storage.get_study_id_from_name(name), new))

    def open(self, trial_id: int) -> optuna.Trial:
        """Return a trial that can be continued."""
        import optuna

        return optuna.Trial(self.study, trial_id)

    def is_running(self, trial_id: int) -> bool:
        """Whether a trial isn't done, according to the storage now."""
        return self.storage.get_trial(trial_id).state.name == "RUNNING"

    def finish(self, trial: optuna.Trial, record: TrialRecord) -> None:
        """Store how a trial ended, unless another machine has done so."""
        import optuna

        if record.reason:
            trial.set_user_attr("reason", record.reason)
        states = {"complete": "COMPLETE", "failed": "FAIL"}
        state = optuna.trial.TrialState[states.get(record.state, "PRUNED")]
        value = record.best() if record.state == "complete" else None
        self.study.tell(trial, value, state=state, skip_if_finished=True)


@contextmanager
def open_store(directory: Path, settings: SweepSettings, url: str | None) -> Iterator[TrialStore]:
    """Open the trials of a folder's sweep, or begin the sweep.

    Args:
        directory: The folder of the runs.
        settings: The settings that the sweep must have.
        url: Optuna's name of a database; None is a journal in the folder.

    Raises:
        FileError: The folder can't be written.
        ModelError: It holds something else.
        MusicRNNError: The storage can't be used, now or later.
        UsageError: Optuna isn't installed, or the folder or the storage has another sweep.
    """
    try:
        import optuna
        from filelock import FileLock
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise UsageError("sweep needs Optuna: pip install 'musicrnn[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with ExitStack() as stack:
            with written(directory):
                directory.mkdir(parents=True, exist_ok=True)
                with FileLock(directory / ".sweep.lock"), without_warnings():
                    document = _document(directory, settings, url)
                    storage = _journal(directory / JOURNAL) if url is None else _database(url, stack)
                    study = optuna.create_study(
                        study_name=document["study"],
                        storage=storage,
                        pruner=settings.make_pruner(),
                        load_if_exists=True,
                    )
                    _agree(study, document)
                    if not (directory / SETTINGS).exists():
                        write_json(directory / SETTINGS, document)
            yield TrialStore(study, storage, settings, directory, document["folder"], url)
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise MusicRNNError(f"--storage: expected a storage that Optuna can use, found: {reason}") from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress Optuna's warnings, which are about features that may change one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _document(directory: Path, settings: SweepSettings, url: str | None) -> dict[str, Any]:
    """Return the content that ``sweep.json`` has, checked against the settings, or is to have."""
    from sqlalchemy.engine import make_url

    storage = "journal" if url is None else make_url(url).render_as_string(hide_password=True)
    wanted = json.loads(json.dumps({**settings.to_dict(), "storage": storage}))
    if (directory / SETTINGS).exists():
        document = read_document(directory / SETTINGS, FORMAT, VERSION, ModelError)
        _compare(wanted, document, str(directory))
        return document
    for name in ("config.json", "corpus.json", "trial-000"):
        if (directory / name).exists():
            raise ModelError(f"{directory}: expected a sweep or a new folder, found {name}")
    folder = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    head = {"format": FORMAT, "version": VERSION, "study": directory.resolve().name, "folder": folder}
    return {**head, **wanted}


def _agree(study: optuna.Study, document: dict[str, Any]) -> None:
    """Check that the study of this name in the storage is this sweep."""
    where = f"--storage: study {document['study']}"
    settings = {name: document[name] for name in ("data", "base", "space", "sampler", "pruner")}
    if "sweep" in study.user_attrs:
        _compare(settings, json.loads(study.user_attrs["sweep"]), where)
    elif study.get_trials(deepcopy=False):
        raise UsageError(f"{where}: expected trials of this sweep, found another program's")
    else:
        study.set_user_attr("sweep", json.dumps(settings))


def _compare(wanted: dict[str, Any], found: dict[str, Any], where: str) -> None:
    """Refuse another sweep, naming the first setting that differs."""
    for part, expected in wanted.items():
        there = found.get(part)
        if expected == there:
            continue
        name = part
        if isinstance(expected, dict) and isinstance(there, dict):
            key = next(key for key in [*expected, *there] if expected.get(key) != there.get(key))
            name, expected, there = f"{part}: {key}", expected.get(key), there.get(key)
        raise UsageError(f"{where}: found another sweep: expected {name} {expected}, found {there}")


def _journal(path: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        return JournalStorage(JournalFileBackend(str(path), cast(Any, _JournalLock(path))))
    except (ValueError, KeyError) as error:
        raise MusicRNNError(f"{path}: expected Optuna's journal, found damage: {error}") from error


def _database(url: str, stack: ExitStack) -> BaseStorage:
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.exc import SQLAlchemyError

    arguments = {"connect_args": {"timeout": _LOCK_SECONDS}} if url.startswith("sqlite") else {}
    for attempts_left in (4, 3, 2, 1, 0):
        try:
            database = RDBStorage(url, engine_kwargs=arguments)
        except (ImportError, ValueError) as error:
            raise UsageError(f"--storage: expected a URL that Optuna can use, found: {error}") from error
        except SQLAlchemyError:  # another machine makes the tables at this moment
            if not attempts_left:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            stack.callback(database.engine.dispose)
            return get_storage(database)
    raise AssertionError


class _JournalLock:
    """Allows one writer of the journal at a time.

    The lock is the operating system's, so it ends with its process, while those of Optuna outlive a killed
    process by half a minute. The incomplete line that such a process left is removed before others write.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self._path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire(poll_interval=0.005)
        with self._path.open("r+b") as journal:
            content_end = journal.seek(0, 2)
            journal.seek(max(0, content_end - 1))
            if journal.read(1) not in (b"", b"\n"):
                journal.seek(0)
                journal.truncate(journal.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Allow others to write."""
        self._lock.release()
