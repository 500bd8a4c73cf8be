"""Training cut into pieces of about a second, measured without waiting for the device."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Callable, Iterator

from gnnpack.tracking.marks import Mark
from gnnpack.tracking.step_counts import Counts, StepCounter

# Of the steps of a piece so many are timed: marking a device's time costs some microseconds.
STEPS_TIMED = 64


@dataclass
class Piece:
    """Host steps one after the other.

    Args:
        last_step: number of its last one in this process, from 1.
        step_seconds: of steps in it, all or a part.
    """

    last_step: int
    seconds: float
    counts: Counts
    step_seconds: list[float]


@dataclass
class _Running:
    """A piece that the host is through with; a device may not be."""

    last_step: int
    start: Mark
    end: Mark
    counts: Callable[[], Counts]
    steps: list[tuple[int, Mark]]

    def finish(self) -> Piece:
        """Its figures, when the end is reached."""
        timed = [
            mark.seconds_since(before)
            for (number, before), (later, mark) in zip(self.steps, self.steps[1:])
            if later == number + 1
        ]
        return Piece(self.last_step, self.end.seconds_since(self.start), self.counts(), timed)


class Pieces:
    """Makes pieces of an uninterrupted stretch of training.

    A step lasts from the end of the one before to its own, the first of a stretch from the
    stretch's beginning; waiting for input and logging are inside.

    Args:
        mark: makes a mark of this moment.
    """

    def __init__(self, mark: Callable[[], Mark]) -> None:
        self._mark = mark
        self._counter = StepCounter()
        self._start: Mark | None = None
        self._steps: list[tuple[int, Mark]] = []
        self._number = self._held = 0
        self._every = 1
        self._running: deque[_Running] = deque()

    @property
    def is_open(self) -> bool:
        """Whether training goes on."""
        return self._start is not None

    def open(self) -> None:
        """A stretch begins."""
        self._start = self._mark()
        self._steps, self._held = [(self._number, self._start)], 0

    def add(self, batch: Any, updates: int) -> int:
        """A host step of so many updates has ended; its number, from 1."""
        self._counter.add(batch, updates)
        self._number += 1
        self._held += 1
        # Of every so many, two neighbours are marked.
        if self._number % self._every < 2:
            self._steps.append((self._number, self._mark()))
        return self._number

    def cut(self) -> None:
        """End a piece; the next one begins."""
        if not self._held or self._start is None:
            return
        # Before the mark: when it is reached, the numbers have arrived. The last step's own mark is
        # an earlier one.
        counts = self._counter.take()
        end = self._mark()
        self._running.append(_Running(self._number, self._start, end, counts, self._steps))
        self._every = max(1, self._held // STEPS_TIMED)
        self._start, self._held = end, 0
        self._steps = [(self._number, end)]

    def close(self) -> int:
        """The stretch ends, what comes before the next one is no training; its last step."""
        self.cut()
        self._start = None
        return self._number

    def finished(self, *, wait: bool = False) -> Iterator[Piece]:
        """Pieces that are done on the device, each once; ``wait``: until all are."""
        while self._running and (wait or self._running[0].end.reached()):
            running = self._running.popleft()
            if wait:
                running.end.wait()
            yield running.finish()
