"""Compile a kernel with all kernels it calls; without numba it stays plain Python, and slow."""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from types import FunctionType
from typing import Any, Callable

log = logging.getLogger(__name__)


@lru_cache(maxsize=None)
def compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` and the functions it calls by their global names, compiled and kept on disk.

    Without numba, `kernel` itself, and a warning.
    """
    try:
        import numba  # noqa: F401
    except ImportError:
        log.warning(
            "numba is not installed, so water clusters are made by plain Python: the same "
            "clusters, some hundred times slower. Install numba."
        )
        return kernel
    assert isinstance(kernel, FunctionType), "a kernel is a plain function"
    whole = _with_parts(kernel)
    try:
        return _compile(whole, cache=True)
    except RuntimeError:
        # No folder that numba may write its cache to.
        return _compile(whole)


def _compile(kernel: FunctionType, cache: bool = False) -> Callable[..., Any]:
    import numba

    # A division by zero gives infinity, as in numpy: a check would keep loops from becoming vector
    # instructions. Without the interpreter's lock, so that threads work side by side.
    decorate = numba.njit(cache=cache, nogil=True, error_model="numpy")
    machine_code: Callable[..., Any] = decorate(kernel)
    return machine_code


@lru_cache(maxsize=None)
def _with_parts(kernel: FunctionType) -> FunctionType:
    scope = dict(kernel.__globals__)
    for name in kernel.__code__.co_names:
        part = scope.get(name)
        if isinstance(part, FunctionType):
            # Not from a cache, which holds no code that can be inlined.
            scope[name] = _compile(_with_parts(part))
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
