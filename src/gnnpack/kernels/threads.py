"""Compiled loops on the threads that torch computes with.

numba's own parallel loops bring a second pool of threads. Idle OpenMP threads spin for a while
before they sleep, so with two pools the threads of one spin on the cores the other works on. So a
loop is compiled to an entry point that works through
numbered tasks until none is left, and torch's OpenMP library is asked to let all its threads enter.
Where that library cannot be found (other platforms link others), Python threads do.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import cfunc, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

log = logging.getLogger(__name__)

NEXT, TASKS, ARGUMENTS = 0, 1, 2
"""Places in the numbers an entry point receives: next task, number of tasks, first argument."""


@intrinsic
def next_task(typing_context, data):  # type: ignore[no-untyped-def]
    """Take the next task's number; each number is given out once."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        number = ir.IntType(64)
        place = builder.bitcast(arguments[0], number.as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(number, 1), "monotonic")

    return types.int64(types.voidptr), generate


@intrinsic
def pointer(typing_context, address):  # type: ignore[no-untyped-def]
    """An address as what `numba.carray` makes an array of."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


def processor_features() -> str:
    """What numba compiles for, e.g. ``+avx512f,...``; `NUMBA_CPU_FEATURES` changes it."""
    features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return features


def _digest_of_sources() -> str:
    found = hashlib.sha256(processor_features().encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        found.update(source.read_bytes())
    return found.hexdigest()[:12]


# numba keeps machine code by the entry point's own file alone, but other files are compiled in. So
# their content is part of its name.
DIGEST = _digest_of_sources()


@lru_cache(maxsize=None)
def compile_entry(function: Any) -> Any:
    """An entry point from a function of a module; compiled when first needed, for all processes."""
    code = function.__code__, function.__globals__, function.__name__
    named = FunctionType(*code, function.__defaults__, function.__closure__)
    named.__module__ = function.__module__
    named.__qualname__ = f"{function.__qualname__}_{DIGEST}"
    try:
        return cfunc("void(voidptr)", cache=True)(named)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        _warn_of_no_folder()
        return cfunc("void(voidptr)")(named)


@lru_cache(maxsize=None)
def _warn_of_no_folder() -> None:
    log.warning(
        "No folder to keep compiled kernels in, so every process compiles them anew: set "
        "NUMBA_CACHE_DIR to one that can be written."
    )


def run(entry: Any, num_tasks: int, *arguments: int) -> None:
    """Let torch's threads work through the tasks of a ``numba.cfunc`` of signature void(voidptr).

    Args:
        arguments: sizes and addresses; what is at an address must stay alive until this returns.
    """
    numbers = np.array([0, num_tasks, *arguments], dtype=np.int64)
    num_threads = min(torch.get_num_threads(), num_tasks)
    team = _torch_team()
    if num_threads <= 1:
        entry.ctypes(numbers.ctypes.data)
    elif team is not None:
        team(entry.address, numbers.ctypes.data, num_threads, 0)
    else:
        calls = [numbers.ctypes.data] * num_threads
        list(_python_team(num_threads).map(entry.ctypes, calls))


@lru_cache(maxsize=None)
def _torch_team() -> Any | None:
    """GNU OpenMP's parallel region (function, data, threads, flags), from the library torch has."""
    for library in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*")):
        try:
            parallel = ctypes.CDLL(str(library)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        parallel.restype = None
        return parallel
    return None


@lru_cache(maxsize=None)
def _python_team(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="gnnpack-kernels")
