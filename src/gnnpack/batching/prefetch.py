"""Make batches ahead of their use on one background thread."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Iterator, TypeVar

T = TypeVar("T")


def prefetch(make: Callable[[int], T], steps: range, depth: int) -> Iterator[T]:
    """``make(step)`` for each step in order, up to ``depth`` of them made ahead; 0 = none ahead.

    A thread and not a process: filling packs is array copies, which release the interpreter lock,
    and a process would copy every batch once more. What ``make`` raises is raised here.

    >>> list(prefetch(lambda step: step * step, range(4), depth=2))
    [0, 1, 4, 9]
    """
    if depth == 0:
        yield from map(make, steps)
        return
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gnnpack-prefetch")
    try:
        pending: deque[Future[T]] = deque(pool.submit(make, step) for step in steps[:depth])
        for ahead in steps[depth:]:
            yield pending.popleft().result()
            pending.append(pool.submit(make, ahead))
        while pending:
            yield pending.popleft().result()
    finally:
        # A consumer that stops early must not wait for batches nobody will use.
        for future in pending:
            future.cancel()
        pool.shutdown(wait=False)
