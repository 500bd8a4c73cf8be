"""Ctrl-C of a sweep whose jobs run in worker processes: its jobs end tidily first, then it.

joblib kills its workers at once, with all that they have started. So Ctrl-C takes away a file that
is there while the sweep goes on: who runs a job sees that, ends it, and the sweep waits for it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Iterator

from gnnpack.experiments.locks import is_alone, share_lock
from gnnpack.experiments.process import GRACE_SECONDS

WAIT_SECONDS = 0.1
# To see that the file has gone, and to write what became of the job.
MORE_SECONDS = 5.0


def go_ahead_file(folder: Path) -> Path:
    """The file of this process for the sweep in ``folder``."""
    return folder / f".go_ahead_{platform.node()}_{os.getpid()}"


@contextlib.contextmanager
def go_ahead(file: Path) -> Iterator[None]:
    """Let Ctrl-C, also one of this process alone, end the jobs that run `under` the file first.

    A second one is a KeyboardInterrupt at once.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    before = signal.getsignal(signal.SIGINT)

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        # Where it interrupts another print, and where somebody has removed the sweep's folder.
        with contextlib.suppress(RuntimeError, OSError):
            print("Ctrl-C: the jobs that run are told to end. Again: they are killed.", flush=True)
        with contextlib.suppress(OSError):
            take_away(file)
        raise KeyboardInterrupt

    # Somebody else's handler stays, and so does nohup's.
    ours = before is signal.default_int_handler and _is_main_thread()
    try:
        if ours:
            signal.signal(signal.SIGINT, end)
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
        with contextlib.suppress(FileNotFoundError):
            file.unlink()


def take_away(file: Path) -> None:
    """Remove the file and wait until no job runs `under` it any more, a while at most."""
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        file.unlink()
        until = time.monotonic() + GRACE_SECONDS + MORE_SECONDS
        while not is_alone(descriptor) and time.monotonic() < until:
            time.sleep(WAIT_SECONDS)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def under(file: str | None, made_by: int | None = None) -> Iterator[None]:
    """In a worker: what is done here is waited for. None: nobody waits.

    Args:
        made_by: process id of the sweep. Its own main thread, where joblib runs a job when there is
            one at a time, is interrupted itself and need not be waited for.

    Raises:
        KeyboardInterrupt: the file is gone.
    """
    is_main = _is_main_thread()
    if file is None or (is_main and made_by == os.getpid()):
        yield
        return
    if is_main:
        # In a terminal it goes to the workers too; a handler, since jobs would inherit SIG_IGN.
        signal.signal(signal.SIGINT, lambda number, frame: None)
    descriptor = share_lock(Path(file))
    if descriptor is None:
        raise KeyboardInterrupt
    try:
        yield
    finally:
        os.close(descriptor)


def is_taken_away(file: str) -> bool:
    """Whether the file is gone; false where that cannot be told now."""
    try:
        os.stat(file)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
