"""Time several calls in turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import math
import time
from typing import Callable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Compilation, caches and the allocator settle in the first calls.
WARM_UPS = 2
# Shorter repeats measure the clock and the scheduler more than the call.
LEAST_SECONDS = 0.02
MOST_CALLS = 1000


class Spread(NamedTuple):
    """Median, and the 10th and 90th percentile, of the repeats."""

    median: float
    p10: float
    p90: float


class Timing(NamedTuple):
    """What the repeats of one call took."""

    seconds: NDArray[np.float64]  # (repeats,) seconds a call
    calls_per_repeat: int


def spread(values: ArrayLike) -> Spread:
    """Median, p10 and p90 of the values, percentiles interpolated linearly.

    >>> spread(range(11))
    Spread(median=5.0, p10=1.0, p90=9.0)
    """
    p10, median, p90 = np.percentile(np.asarray(values, dtype=np.float64), [10, 50, 90])
    return Spread(float(median), float(p10), float(p90))


def time_in_turns(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    least_seconds: float = LEAST_SECONDS,
    warm_ups: int = WARM_UPS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time each call ``repeats`` times, one round after the other, after ``warm_ups`` rounds.

    The i-th repeat of every call belongs to the same round, and each round begins with another
    call. A repeat loops over the call until it lasts about ``least_seconds``; 0 = one call.
    ValueError for fewer than one repeat.
    """
    assert warm_ups >= 1, "how long a call takes is seen first in a warm-up"
    if repeats < 1:
        raise ValueError(f"repeats={repeats}; a measurement needs at least 1.")
    last = {}
    for _ in range(warm_ups):
        last = {name: _seconds(call, 1, clock) for name, call in calls.items()}
    loops = {name: _loops(seconds, least_seconds) for name, seconds in last.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _, name in in_turns(list(calls), repeats):
        found[name].append(_seconds(calls[name], loops[name], clock))
    return {name: Timing(np.array(found[name]), loops[name]) for name in calls}


def in_turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """(round, name) in the order to measure: every round has all names, and another first one.

    >>> list(in_turns(["a", "b"], 2))
    [(0, 'a'), (0, 'b'), (1, 'b'), (1, 'a')]
    """
    for turn in range(rounds):
        first = turn % max(1, len(names))
        for name in [*names[first:], *names[:first]]:
            yield turn, name


def _seconds(call: Callable[[], object], loops: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(loops):
        call()
    return (clock() - start) / loops


def _loops(seconds: float, least_seconds: float) -> int:
    if seconds >= least_seconds:
        return 1
    # A clock too coarse to see the call at all gives 0 seconds.
    return min(MOST_CALLS, math.ceil(least_seconds / max(seconds, 1e-9)))
