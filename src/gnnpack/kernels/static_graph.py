"""Whether a compiler of static graphs is looking: one that runs a function once and keeps its ops.

Such a compiler (PopTorch for IPUs) sees shapes and no values, so what is looked up in values, or
chosen by them, has no place in what it traces.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Iterator

_traced: ContextVar[bool] = ContextVar("gnnpack_traced", default=False)


def in_static_graph() -> bool:
    """Whether the caller's operations are being recorded by `static_graph`.

    >>> with static_graph():
    ...     in_static_graph()
    True
    >>> in_static_graph()
    False
    """
    return _traced.get()


@contextmanager
def static_graph() -> Iterator[None]:
    """Let what is computed inside use static shapes and a static compiler's operations alone."""
    before = _traced.set(True)
    try:
        yield
    finally:
        _traced.reset(before)
