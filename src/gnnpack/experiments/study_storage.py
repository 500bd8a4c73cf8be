"""Where a study lies: a journal file, or a data base that Optuna knows by its URL."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from gnnpack.experiments.locks import take_lock

JOURNAL = "study.journal"
# Several processes write to one SQLite file; each waits this long for the others.
SQLITE_SECONDS = 60


def optuna_module() -> Any:
    """Optuna, quiet; ValueError with the cure where it is missing."""
    try:
        import optuna
    except ImportError as error:
        raise ValueError(
            "A search needs the package optuna, which is not installed. "
            "Run `pip install 'gnnpack[search]'`."
        ) from error
    # Its lines about studies and trials: ours say the same in the sweep's words.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Of what we use, some is "experimental" in one version and not in another.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_storage(place: str) -> Any:
    """The storage at ``place``: a ``*.journal`` file, or a URL such as ``sqlite:///study.db``.

    Raises:
        ValueError: it cannot be opened, with the reason and the cure.
    """
    optuna = optuna_module()
    if "://" not in place:
        if not place.endswith(".journal"):
            raise ValueError(
                f"hydra.sweeper.storage is {place!r}; give a file that ends in .journal, or a URL "
                "such as sqlite:///outputs/study.db or mysql://user@host/name."
            )
        return _journal(optuna, Path(place))
    waits = {"connect_args": {"timeout": SQLITE_SECONDS}} if place.startswith("sqlite") else {}
    try:
        return optuna.storages.RDBStorage(place, engine_kwargs=waits)
    except ImportError as error:
        raise ValueError(
            f"hydra.sweeper.storage={shown(place)}: {error}. Install the driver of that data base, "
            "or leave storage=null for a journal file."
        ) from error
    except Exception as error:
        # SQLAlchemy and the drivers have dozens of error types, one for each way to miss a base.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"hydra.sweeper.storage={shown(place)} cannot be opened: {first}. A SQLite file is "
            "sqlite:///PATH with an existing folder; other data bases must be reachable from here."
        ) from error


def shown(place: str) -> str:
    """The place without a password."""
    scheme, found, rest = place.partition("://")
    user, at, host = rest.rpartition("@")
    if not found or not at:
        return place
    return f"{scheme}://{user.partition(':')[0]}@{host}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` alone; the system lets go of it when this process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = take_lock(path, wait=True)
    assert descriptor is not None, "waiting ends with the lock"
    try:
        yield
    finally:
        os.close(descriptor)


class DyingLock:
    """The lock of a journal file, which dies with its process; what Optuna asks of one.

    Optuna's own stays behind when a worker is killed while it writes: the others wait 30 s and then
    break it, also when its owner is only slow.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        self._held: Any = None

    def acquire(self) -> bool:
        """Wait for it."""
        self._held = locked(self._path)
        self._held.__enter__()
        return True

    def release(self) -> None:
        """Let others have it."""
        self._held.__exit__(None, None, None)


def _journal(optuna: Any, path: Path) -> Any:
    lock = DyingLock(path)
    journal = optuna.storages.journal
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        try:
            # A writer that was killed within a line would spoil all that come after it.
            _drop_torn_line(path)
        finally:
            lock.release()
        return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise ValueError(
            f"hydra.sweeper.storage={path} cannot be opened: {error}. Choose a file you may write."
        ) from error


def _drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        back = min(size, 1 << 20)
        file.seek(size - back)
        tail = file.read(back)
        if tail and not tail.endswith(b"\n"):
            file.truncate(size - back + tail.rfind(b"\n") + 1)
