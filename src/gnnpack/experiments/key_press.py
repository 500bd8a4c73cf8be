"""Waiting that a key press ends."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from typing import Callable, Iterator

QUIT = "q"


@contextlib.contextmanager
def waiting(key: str = QUIT) -> Iterator[Callable[[float], bool]]:
    """Gives a function that waits for some seconds and tells whether the key was pressed.

    Where no keyboard can be read by the key (a pipe, a job in the background, Windows) it only
    waits. The terminal is as before when the block ends, however it ends.
    """
    try:
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        if not sys.stdin.isatty() or os.tcgetpgrp(descriptor) != os.getpgrp():
            raise OSError("not the terminal's foreground")
        before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)
    except (ImportError, OSError, ValueError, AttributeError):
        yield _only_wait
        return
    try:
        yield lambda seconds: _wait(descriptor, key, seconds)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _only_wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _wait(descriptor: int, key: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return False
        pressed = os.read(descriptor, 64)
        if key.encode() in pressed.lower():
            return True
        if not pressed:
            # The terminal has gone.
            return True
