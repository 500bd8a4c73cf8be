"""Compile a kernel together with the kernels it calls."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from types import FunctionType
from typing import Any, Callable

from gnnpack.packing.compiled import compiled


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
