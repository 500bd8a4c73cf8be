"""Compile a kernel, alone or with the kernels it calls, when numba is there."""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from types import FunctionType
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


def linked(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` and all functions it calls by their global names, compiled; plain without numba."""
    assert isinstance(kernel, FunctionType), "a kernel is a plain function"
    if compiled(kernel) is None:
        return kernel
    return compiled(_with_parts(kernel)) or kernel


@lru_cache(maxsize=None)
def _with_parts(kernel: FunctionType) -> FunctionType:
    """A copy of `kernel` whose parts are compiled."""
    import numba

    scope = dict(kernel.__globals__)
    for name in kernel.__code__.co_names:
        part = scope.get(name)
        if isinstance(part, FunctionType):
            # Not from a cache, which holds no code that can be inlined.
            scope[name] = numba.njit(_with_parts(part))
    copy = FunctionType(kernel.__code__, scope, kernel.__name__)
    # numba's cache looks at a kernel's name and its own file, and would not see that a part or a
    # constant has changed in another file.
    copy.__qualname__ = f"{kernel.__name__}_{_stamp(kernel)}"
    return copy


def _stamp(kernel: FunctionType) -> str:
    """A hash of the code of a kernel, of its constants and of all its parts."""
    code = kernel.__code__
    held = [code.co_code.hex(), repr(code.co_consts)]
    for name in code.co_names:
        value = kernel.__globals__.get(name)
        held.append(_stamp(value) if isinstance(value, FunctionType) else f"{name}={value!r}")
    return hashlib.sha256("\n".join(held).encode()).hexdigest()[:12]
