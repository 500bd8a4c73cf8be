"""Compile a kernel when numba is there."""

from __future__ import annotations

import sys
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


def compiled_if_large(kernel: Callable[..., Any], num_items: int) -> Callable[..., Any] | None:
    """`kernel` compiled, or None where numpy is done before numba is imported and has compiled."""
    large = 2**14 if "numba" in sys.modules else 2**18
    return compiled(kernel) if num_items >= large else None
