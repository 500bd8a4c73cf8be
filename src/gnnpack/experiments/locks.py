"""Locks that the system drops when their last holder dies, and that a job's process inherits."""

from __future__ import annotations

import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Who only looks whether a lock is held holds it for microseconds itself.
PATIENCE_SECONDS = 0.5


def take_lock(path: Path, *, wait: bool = False, patience: float = PATIENCE_SECONDS) -> int | None:
    """Take the lock of a file, which is made; returns its descriptor, or None if another has it.

    A process that is started with the descriptor (``pass_fds``) holds the lock too; it is given
    back when all holders have closed it or died.

    Args:
        wait: for the other to end, however long.
        patience: seconds to try again in otherwise.

    Raises:
        ValueError: the system has no such locks.
        OSError: the file cannot be made.
    """
    if fcntl is None:
        raise ValueError(
            "Sweeps need file locks of Linux or macOS; run their jobs one by one here."
        )
    # Whoever may write into the folder may take it: that is for the umask to say.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if wait:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        elif not _try(descriptor, patience):
            os.close(descriptor)
            return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def share_lock(path: Path) -> int | None:
    """Hold the lock of a file with others who share it; returns its descriptor.

    None if one has it alone, or there is no such file.
    """
    assert fcntl is not None, "take_lock has refused"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def is_alone(descriptor: int) -> bool:
    """Whether nobody else holds the lock of an open file, which is held from then on."""
    return _take(descriptor)


def _try(descriptor: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while not _take(descriptor):
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
    return True


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
