"""Seconds that numba has compiled: what it loads from its cache takes none."""

from __future__ import annotations

import time
from typing import Any, Callable

COMPILE = "numba:compile"


class CompileClock:
    """Counts from its making on until `stop`; a function compiled inside another's counts once.

    Without numba there is nothing to compile.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock
        self._depth, self._begun = 0, 0.0
        self._stop: Callable[[], None] = lambda: None
        try:
            from numba.core import event
        except ImportError:
            return
        clock_of = self

        class Listener(event.Listener):
            def on_start(self, event: Any) -> None:
                clock_of.begin()

            def on_end(self, event: Any) -> None:
                clock_of.end()

        listener = Listener()
        event.register(COMPILE, listener)  # type: ignore[no-untyped-call]
        self._stop = lambda: event.unregister(  # type: ignore[no-untyped-call]
            COMPILE, listener
        )

    def begin(self) -> None:
        """A compilation begins; numba has one thread at a time compile."""
        if self._depth == 0:
            self._begun = self._clock()
        self._depth += 1

    def end(self) -> None:
        """The latest compilation ends."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += self._clock() - self._begun

    def stop(self) -> None:
        """Count no more."""
        stop, self._stop = self._stop, lambda: None
        stop()
