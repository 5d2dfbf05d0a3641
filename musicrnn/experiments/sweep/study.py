"""A study: what Optuna stores of a sweep's trials, and the folder of their runs.

Optuna's storage knows every trial's number, settings, state and metrics; ``sweep.json`` in the folder has
the plan, so that no other sweep is mixed in. A trial says in which folder its run is: several machines may
share a storage, and each has a folder of its own.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from musicrnn.errors import ModelError, MusicRNNError, UsageError
from musicrnn.experiments.sweep.plan import Plan
from musicrnn.files import read_document, write_json, written

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

FORMAT, VERSION = "musicrnn-sweep", 1
PLAN, JOURNAL = "sweep.json", "study.journal"
_LOCK_SECONDS = 60.0
"""How long a database that another process writes to is waited for."""
RETRY_SECONDS = 0.5
"""Seconds between attempts to open a database, which may fail while another machine sets it up."""
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


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


class Study:
    """The trials of a sweep.

    Args:
        study: Optuna's study.
        storage: Its storage.
        plan: The sweep's.
        directory: The folder of the runs.
        folder: What trials call this folder.
        shared: Whether the storage may have trials of other folders.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        plan: Plan,
        directory: Path,
        folder: str,
        shared: bool,
    ) -> None:
        self.study = study
        self.storage = storage
        self.plan = plan
        self.directory = directory
        self.folder = folder
        self.shared = shared

    def stored(self) -> list[FrozenTrial]:
        """Return the trials as Optuna has them, by number."""
        return self.study.get_trials(deepcopy=False)

    def trials(self) -> list[Trial]:
        """Return the trials by number."""
        return [
            Trial(
                number=trial.number,
                state=_STATES.get(trial.state.name, "running"),
                settings={name: trial.params[name] for name in self.plan.space if name in trial.params},
                run=self.run(trial.number),
                valid_nll=min(trial.intermediate_values.values(), default=None),
                epochs=len(trial.intermediate_values),
                reason=str(trial.user_attrs.get("reason", "")),
                threads=int(trial.user_attrs.get("threads", 0)),
            )
            for trial in self.stored()
        ]

    def run(self, number: int) -> Path:
        """Return the folder of a trial's run."""
        return self.directory / f"trial-{number:03d}"

    def create(self) -> optuna.Trial:
        """Add a trial, of this folder from the first moment on."""
        import optuna

        new = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, user_attrs={"folder": self.folder}
        )
        name = self.study.study_name
        return self.open(self.storage.create_new_trial(self.storage.get_study_id_from_name(name), new))

    def open(self, identity: int) -> optuna.Trial:
        """Return a trial, to be gone on with."""
        import optuna

        return optuna.Trial(self.study, identity)

    def is_running(self, identity: int) -> bool:
        """Whether a trial isn't done, by the storage's latest word."""
        return self.storage.get_trial(identity).state.name == "RUNNING"

    def is_ours(self, identity: int) -> bool:
        """Whether a trial's run is in this folder, by the storage's latest word."""
        return bool(self.storage.get_trial(identity).user_attrs.get("folder") == self.folder)


@contextmanager
def open_study(directory: Path, plan: Plan, url: str | None) -> Iterator[Study]:
    """Open the study of a folder, or begin it.

    Args:
        directory: The folder of the runs.
        plan: What the sweep is to be.
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
    except ImportError as error:
        raise UsageError("sweep needs Optuna: pip install 'musicrnn[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with storage_errors(), ExitStack() as stack:
        with written(directory):
            directory.mkdir(parents=True, exist_ok=True)
            with FileLock(directory / ".sweep.lock"), unwarned():
                document = _document(directory, plan, url)
                storage = _journal(directory / JOURNAL) if url is None else _database(url, stack)
                study = optuna.create_study(
                    study_name=document["study"],
                    storage=storage,
                    pruner=plan.make_pruner(),
                    direction="minimize",
                    load_if_exists=True,
                )
                _agree(study, document)
                if not (directory / PLAN).exists():
                    write_json(directory / PLAN, document)
        yield Study(study, storage, plan, directory, document["folder"], url is not None)


def read_plan(directory: Path) -> Plan:
    """Return the plan of a folder that has one.

    Raises:
        FileError: The folder has none.
        ModelError: It is another version's.
        UsageError: It is damaged.
    """
    document = read_document(directory / PLAN, FORMAT, VERSION, ModelError)
    return Plan.from_dict(document, str(directory / PLAN))


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what databases raise into a MusicRNNError."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise MusicRNNError(f"--storage: expected a storage that Optuna can use, found: {reason}") from error


@contextmanager
def unwarned() -> Iterator[None]:
    """Be deaf to warnings: Optuna's are about what it may change one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _document(directory: Path, plan: Plan, url: str | None) -> dict[str, Any]:
    """Return what ``sweep.json`` says, checked against the plan, or is to say."""
    wanted = json.loads(json.dumps({**plan.to_dict(), "storage": _public(url)}))
    if (directory / PLAN).exists():
        document = read_document(directory / PLAN, FORMAT, VERSION, ModelError)
        _compare(wanted, document, str(directory))
        return document
    for name in ("config.json", "corpus.json", "trial-000"):
        if (directory / name).exists():
            raise ModelError(f"{directory}: expected a sweep or a new folder, found {name}")
    folder = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    head = {"format": FORMAT, "version": VERSION, "study": directory.resolve().name, "folder": folder}
    return {**head, **wanted}


def _agree(study: optuna.Study, document: dict[str, Any]) -> None:
    """See that what the storage has under this name is this sweep."""
    where = f"--storage: study {document['study']}"
    plan = {name: document[name] for name in ("data", "base", "space", "sampler", "pruner")}
    if "sweep" in study.user_attrs:
        _compare(plan, json.loads(study.user_attrs["sweep"]), where)
    elif study.get_trials(deepcopy=False):
        raise UsageError(f"{where}: expected trials of this sweep, found another program's")
    else:
        study.set_user_attr("sweep", json.dumps(plan))


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
    for attempts_left in reversed(range(5)):
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


def _public(url: str | None) -> str:
    """Return what may be written of a storage's URL: all but the password."""
    from sqlalchemy.engine import make_url

    return "journal" if url is None else make_url(url).render_as_string(hide_password=True)


class _JournalLock:
    """Keeps the journal to one writer at a time.

    The lock is the operating system's, so it ends with its process, where those of Optuna outlive a killed
    process by half a minute. What such a process left of a line is taken off the end before others write.
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
        """Let others write."""
        self._lock.release()
