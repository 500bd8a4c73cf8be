"""Compile a kernel when numba is there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable


@lru_cache(maxsize=None)
def compiled(kernel: Callable[..., Any]) -> Callable[..., Any] | None:
    """`kernel` compiled by numba, or None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None
    try:
        machine_code: Callable[..., Any] = numba.njit(cache=True)(kernel)
    except RuntimeError:
        # No folder that numba may write its cache to.
        machine_code = numba.njit(kernel)
    return machine_code
