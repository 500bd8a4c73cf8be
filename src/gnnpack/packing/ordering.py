"""Orders of molecules: sorted by key, or drawn at random from a key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled, compiled_if_large, linked
from gnnpack.packing.random_numbers import unit

# Fewer exchanges than this are made by plain Python before numba is imported.
_WORTH_COMPILING = 2**14
_DRAWS = 512


def stable_order(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Positions that sort non-negative integers (M,), equal ones in the order given; int64 (M,).

    >>> stable_order(np.array([3, 1, 3, 1])).tolist()
    [1, 3, 0, 2]
    """
    # numpy sorts 16-bit integers by radix, five times as fast as wider ones.
    largest = int(values.max()) if values.size else 0
    narrow = values.astype(np.uint16) if largest < 2**16 else values
    return np.argsort(narrow, kind="stable").astype(np.int64, copy=False)


def sorted_by(keys: NDArray[Any], starts: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    """Values (M,) sorted by integer keys (M,), equal keys in the order given.

    starts: (K+1,) int64, how many keys are smaller than 0, 1, ..., K.

    >>> sorted_by(np.array([1, 0, 1]), np.array([0, 1, 3]), np.array([7, 8, 9])).tolist()
    [8, 7, 9]
    """
    kernel = compiled_if_large(count_out, values.size)
    if kernel is None:
        ordered: NDArray[Any] = values[stable_order(keys)]
        return ordered
    ordered = np.empty_like(values)
    kernel(keys, starts, values, ordered)
    return ordered


def count_out(
    keys: NDArray[Any],
    starts: NDArray[np.int64],
    values: NDArray[Any],
    ordered: NDArray[Any],
) -> None:
    """`sorted_by` for numba: each value goes to the next place of its key."""
    following = starts.copy()
    for place in range(keys.size):
        key = keys[place]
        ordered[following[key]] = values[place]
        following[key] += 1


def shuffle_blocks(values: NDArray[Any], starts: NDArray[np.int64], key: np.uint64) -> None:
    """Shuffle values[starts[b]:starts[b+1]] in place, each block b within itself.

    values: (M,); starts: (B+1,) int64 rising from 0 to M. Fisher and Yates with one draw a place,
    uniform to 2**-53; a pure function of (starts, key), with or without numba.
    """
    if values.size >= _WORTH_COMPILING and compiled(exchange_places) is not None:
        linked(exchange_places)(values, starts, key)
    else:
        exchange_places_by_list(values, starts, key)


def exchange_places(values: NDArray[Any], starts: NDArray[np.int64], key: np.uint64) -> None:
    """`shuffle_blocks` for numba."""
    # Draws before exchanges: the processor makes several of them at once.
    others = np.empty(_DRAWS, dtype=np.int64)
    for block in range(starts.size - 1):
        start = starts[block]
        top = starts[block + 1] - 1
        while top > start:
            num_draws = min(_DRAWS, top - start)
            for i in range(num_draws):
                drawn = unit(key, top - i)
                others[i] = start + np.int64(drawn * np.float64(top - i - start + 1))
            for i in range(num_draws):
                held = values[top - i]
                values[top - i] = values[others[i]]
                values[others[i]] = held
            top -= num_draws


def exchange_places_by_list(
    values: NDArray[Any], starts: NDArray[np.int64], key: np.uint64
) -> None:
    """`shuffle_blocks` without numba: draws by numpy, exchanges by plain Python."""
    place = np.arange(values.size, dtype=np.int64)
    start = np.repeat(starts[:-1], np.diff(starts))
    others = start + (unit(key, place) * (place - start + 1)).astype(np.int64)
    held = values.tolist()
    for one, other in zip(reversed(range(len(held))), others[::-1].tolist()):
        held[one], held[other] = held[other], held[one]
    values[:] = held
